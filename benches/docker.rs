//! Training of 784-64-10 and 784-128-10 on MNIST with batches of 256 in containers, one neuron each,
//! and, in turns with it, what it is measured by: a bare publisher and consumer that move the same
//! number and sizes of messages through the same broker, without arithmetic; and the same once more
//! with a connection for every actor, as training has them. Also counts what the broker has handed
//! out against what `plan` says.
//!
//! `scripts/bench docker --data-dir DIR [--rounds N] [--epochs N] [--hidden N]... [--program FILE]
//! [--data reference|broadcast] [--neurons-per-unit N]`

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Parser;
use cuttlefish::data;
use cuttlefish::deploy::docker::DockerRun;
use cuttlefish::run_dir::RunDir;
use cuttlefish::transport::amqp::Broker;
use cuttlefish_core::data::Feed;
use cuttlefish_core::protocol::codec::fixed_len;
use cuttlefish_core::topology::traffic::{Traffic, TrafficKind};
use cuttlefish_core::topology::{self, DataShape, Grouping, Plan};
use serde_json::Value;

#[path = "support/bare.rs"]
mod bare;
#[path = "support/containers.rs"]
mod containers;

use bare::Connections;
use containers::{BenchProgram, best_epoch, json};

/// Far longer than the messages of some epochs take.
const BARE_WITHIN: Duration = Duration::from_secs(300);

/// Time between two reports of connections to the broker's API, and a little more.
const FIGURES_EVERY: Duration = Duration::from_secs(6);

/// Measures training in containers. Needs Docker, and a broker image that is there.
#[derive(Parser)]
struct Args {
    /// Directory of the MNIST files.
    #[arg(long)]
    data_dir: PathBuf,
    /// Turns of training and of bare messages: a machine that is shared is not as fast in one minute
    /// as in the next.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Epochs of training in a turn.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    epochs: u32,
    /// Neurons of the hidden layer; may be given several times.
    #[arg(long, default_values_t = [64, 128])]
    hidden: Vec<usize>,
    /// Way of the rows to the first layer.
    #[arg(long, default_value = "reference", value_parser = ["reference", "broadcast"])]
    data: String,
    /// Neurons of a container.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    neurons_per_unit: u32,
    /// The containers' program; built when it is stale, without.
    #[arg(long)]
    program: Option<PathBuf>,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runs = tempfile::tempdir()?;
    for &hidden in &args.hidden {
        let bench = Bench {
            name: format!("bench{hidden}"),
            args: &args,
            runs: runs.path(),
            program: BenchProgram {
                runs: runs.path(),
                data: &args.data_dir,
            },
        };
        let measured = bench.measure(hidden);
        // Whatever went wrong, no containers are left.
        let removed = bench.program.stdout(&["down", &bench.name]);
        measured?;
        removed?;
    }
    Ok(())
}

struct Bench<'a> {
    name: String,
    args: &'a Args,
    runs: &'a Path,
    program: BenchProgram<'a>,
}

impl Bench<'_> {
    fn measure(&self, hidden: usize) -> anyhow::Result<()> {
        let file = self.runs.join(format!("{}.yaml", self.name));
        let text = topology_file(&self.name, hidden);
        std::fs::write(&file, &text)?;
        let file = file.to_str().context("a plain path")?;
        let parsed = topology::parse(&text, &[]).map_err(|p| anyhow::anyhow!(p.to_string()))?;
        let loaded = data::load(&parsed.spec().data, Path::new(""), &self.args.data_dir)?;
        let shape = DataShape::from(&loaded.dataset);
        let graph = parsed
            .graph(&shape, Grouping::Units(self.args.neurons_per_unit as usize))
            .map_err(|p| anyhow::anyhow!(p.to_string()))?;
        let feed = match self.args.data.as_str() {
            "broadcast" => Feed::Broadcast,
            _ => Feed::Reference,
        };
        let plan = Plan::new(&graph, &shape, true, feed);

        println!(
            "784-{hidden}-10, {} containers of neurons, batch {}",
            plan.totals.units, plan.ticks.batch_size
        );
        let [mut ratios, mut ratios_of_actors] = [Vec::new(), Vec::new()];
        let mut digest = Value::Null;
        for round in 1..=self.args.rounds {
            let (trained, stderr) = self.train(file, round)?;
            let training = best_epoch(&stderr).context("lines of epochs")?;
            if let Some(up) = stderr.lines().find(|line| line.contains(" is up: ")) {
                println!("  {up}");
            }
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()?;
            let (pair, actors) = runtime.block_on(async {
                let deployed = DockerRun::open(RunDir::new(self.runs, &self.name)?).await?;
                if round == 1 {
                    self.compare_counts(&deployed, &plan, &trained).await?;
                }
                let broker = self.broker(&deployed).await?;
                let bare = async |connections| {
                    let epochs = self.args.epochs;
                    let moved = bare::ticks_per_second(&broker, &graph, &plan, epochs, connections);
                    let moved = tokio::time::timeout(BARE_WITHIN, moved).await;
                    moved.context("bare messages have got lost")?
                };
                anyhow::Ok((
                    bare(Connections::Pair).await?,
                    bare(Connections::Actors).await?,
                ))
            })?;
            let samples = |ticks| ticks * graph.training.batch_size as f64;
            let (pair, actors) = (samples(pair), samples(actors));
            println!(
                "  round {round}: training {training:6.0} samples/s; bare messages: {pair:6.0} samples/s' \
                 worth, with every actor's connection {actors:6.0}"
            );
            ratios.push(training / pair);
            ratios_of_actors.push(training / actors);
            digest = trained["weights_sha256"].clone();
        }
        println!(
            "  ratio             {:8.2} (median), {:.2} to bare messages on as many connections",
            median(ratios),
            median(ratios_of_actors)
        );
        let all = (self.args.rounds * self.args.epochs).to_string();
        let local = ["train", file, "--json", "-q", "--overwrite"];
        let local = [&local[..], &["--set", "name=local", "--epochs", &all]].concat();
        let local = json(&self.program.stdout(&local)?)?;
        ensure!(
            digest == local["weights_sha256"],
            "the digests differ: {digest} {local}"
        );
        println!("  digest            as in one process");
        Ok(())
    }

    /// A turn of training: its document, and its stderr.
    fn train(&self, file: &str, round: u32) -> anyhow::Result<(Value, String)> {
        let epochs = (round * self.args.epochs).to_string();
        let per_unit = self.args.neurons_per_unit.to_string();
        let mut train = match round {
            1 => {
                let how = ["--data", &self.args.data, "--neurons-per-unit", &per_unit];
                [&["train", file, "--target", "docker"], &how[..]].concat()
            }
            _ => vec!["train", "--resume", &self.name],
        };
        train.extend(["--epochs", &epochs, "--json"]);
        if let Some(program) = &self.args.program {
            train.extend(["--program", program.to_str().context("a plain path")?]);
        }
        let (trained, stderr) = self.program.run(&train)?;
        Ok((json(&trained)?, stderr))
    }

    /// Compares the broker's count of deliveries with the plan.
    async fn compare_counts(
        &self,
        deployed: &DockerRun,
        plan: &Plan,
        trained: &Value,
    ) -> anyhow::Result<()> {
        let (management, vhost) = deployed.management().await?.context("the broker's API")?;
        let path = format!("/api/vhosts/{vhost}");
        let counted = || -> anyhow::Result<(f64, f64)> {
            let figures = management.get(&path)?;
            let stats = &figures["message_stats"];
            let deliveries = stats["deliver_no_ack"].as_f64().unwrap_or(0.0);
            Ok((deliveries, figures["send_oct"].as_f64().unwrap_or(0.0)))
        };
        let mut before = counted()?;
        let (deliveries, bytes) = loop {
            tokio::time::sleep(FIGURES_EVERY).await;
            let now = counted()?;
            if now.0 == before.0 && now.0 > 0.0 {
                break now;
            }
            before = now;
        };
        // Evaluations go forward only. By reference, the first layer is told of each in a message of its
        // own. The first of them comes with errors, but the run's first training tick does not.
        let announcements = match plan.feed {
            Feed::Reference => plan.layers[0].units as u64,
            Feed::Broadcast => 0,
        };
        let forward = |of: fn(&Traffic) -> u64, of_announcement: u64| -> f64 {
            let kinds = plan.traffic.iter();
            let forward =
                kinds.filter(|t| matches!(t.kind, TrafficKind::Forward | TrafficKind::Activation));
            (forward.map(of).sum::<u64>() + announcements * of_announcement) as f64
        };
        let ticks = trained["ticks"].as_f64().context("ticks")?;
        let tests = plan.ticks.test as f64;
        let training = ticks - tests;
        let planned =
            training * plan.per_tick.deliveries as f64 + tests * forward(|t| t.deliveries, 1);
        let planned_bytes = training * plan.per_tick.wire_bytes as f64
            + tests * forward(|t| t.wire_bytes, fixed_len::FORWARD as u64);
        let per_neuron = deliveries / ticks / plan.totals.neurons as f64;
        println!(
            "  deliveries        {deliveries:8.0} by the broker, ratio to the plan {:.3}, {:.2} a neuron and tick",
            deliveries / planned,
            per_neuron,
        );
        println!(
            "  megabytes         {:8.1} by the broker, ratio to the plan {:.3}",
            bytes / 1e6,
            bytes / planned_bytes
        );
        ensure!(per_neuron <= 4.0, "more than 4 deliveries a neuron");
        for (what, ratio) in [
            ("deliveries", deliveries / planned),
            ("bytes", bytes / planned_bytes),
        ] {
            let is_as_planned = (0.9..1.1).contains(&ratio);
            ensure!(is_as_planned, "more than a tenth off the plan's {what}");
        }
        Ok(())
    }

    /// The run's broker on its network, as the containers reach it: not through Docker's proxy.
    async fn broker(&self, deployed: &DockerRun) -> anyhow::Result<Broker> {
        let container = format!("cf.{}.broker", self.name);
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        let output = Command::new("docker")
            .args(["inspect", "--format", format, &container])
            .output()?;
        let address = String::from_utf8(output.stdout)?;
        Ok(deployed.broker().await?.at(address.trim(), 5672))
    }
}

fn topology_file(name: &str, hidden: usize) -> String {
    format!(
        "
name: {name}
seed: 7
data: {{source: mnist, validation_split: 0}}
network:
  layers:
    - {{type: dense, name: hidden, units: {hidden}, activation: relu, kernel_initializer: he_normal}}
    - {{type: dense, name: digit, units: 10, activation: softmax}}
  loss: sparse_categorical_crossentropy
training:
  epochs: 1
  batch_size: 256
  optimizer: {{type: sgd, learning_rate: 0.1, momentum: 0.9}}
"
    )
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
