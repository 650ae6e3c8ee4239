//! Training of 784-64-10 and 784-128-10 on MNIST with batches of 256 in containers, one neuron each,
//! and, in turns with it, what it is measured by: a bare publisher and consumers that move the same
//! number and sizes of messages through the same broker, without arithmetic. Also counts what the
//! broker has handed out against what `plan` says.
//!
//! `scripts/bench docker --data-dir DIR [--rounds N] [--epochs N] [--hidden N]... [--program FILE]`

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Parser;
use cuttlefish::data;
use cuttlefish::orchestrator::Deployed;
use cuttlefish::runs::RunDir;
use cuttlefish::transport::amqp::connection::LARGE_FRAMES;
use cuttlefish::transport::amqp::{Broker, Wiring};
use cuttlefish_core::data::Feed;
use cuttlefish_core::topology::names::{self, Queue};
use cuttlefish_core::topology::traffic::{Kind, Traffic};
use cuttlefish_core::topology::{self, DataShape, Graph, Grouping, Plan};
use futures_util::StreamExt;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel};
use serde_json::Value;
use tokio::sync::Notify;

#[path = "support/containers.rs"]
mod containers;

use containers::{Program, best_epoch, json};

/// Ticks that the bare publisher is ahead of its consumers at most: as training has it.
const IN_FLIGHT: u64 = 2;

/// How often connections report to the broker's API, and a little more.
const FIGURES_EVERY: Duration = Duration::from_secs(6);

/// Measures training in containers. Needs Docker, and a broker image that is there.
#[derive(Parser)]
struct Args {
    /// Where the MNIST files are.
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
            program: Program {
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
    program: Program<'a>,
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
            .graph(&shape, Grouping::Units(1))
            .map_err(|p| anyhow::anyhow!(p.to_string()))?;
        let plan = Plan::new(&graph, &shape, true, Feed::Reference);

        println!(
            "784-{hidden}-10, {} containers of neurons, batch {}",
            plan.totals.units, plan.ticks.batch_size
        );
        let mut ratios = Vec::new();
        let mut digest = Value::Null;
        for round in 1..=self.args.rounds {
            let (trained, told) = self.train(file, round)?;
            let training = best_epoch(&told).context("lines of epochs")?;
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()?;
            let bare = runtime.block_on(async {
                let deployed = Deployed::open(RunDir::new(self.runs, &self.name)?).await?;
                if round == 1 {
                    self.compare_counts(&deployed, &plan, &trained).await?;
                }
                let broker = self.broker(&deployed).await?;
                bare_ticks_per_second(&broker, &graph, &plan, self.args.epochs).await
            })?;
            let bare = bare * graph.training.batch_size as f64;
            let ratio = training / bare;
            println!(
                "  round {round}: training {training:6.0} samples/s, bare messages {bare:6.0} samples/s' \
                 worth, ratio {ratio:.2}"
            );
            ratios.push(ratio);
            digest = trained["weights_sha256"].clone();
        }
        ratios.sort_by(f64::total_cmp);
        println!(
            "  ratio             {:8.2} (median)",
            ratios[ratios.len() / 2]
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

    /// A turn of training: its document, and what it has told.
    fn train(&self, file: &str, round: u32) -> anyhow::Result<(Value, String)> {
        let epochs = (round * self.args.epochs).to_string();
        let mut train = match round {
            1 => vec!["train", file, "--target", "docker"],
            _ => vec!["train", "--resume", &self.name],
        };
        train.extend(["--epochs", &epochs, "--json"]);
        if let Some(program) = &self.args.program {
            train.extend(["--program", program.to_str().context("a plain path")?]);
        }
        let (trained, told) = self.program.run(&train)?;
        Ok((json(&trained)?, told))
    }

    /// What the broker says that it has delivered, against the plan.
    async fn compare_counts(
        &self,
        deployed: &Deployed,
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
        // Evaluations go forward only.
        let forward = |of: fn(&Traffic) -> u64| -> f64 {
            let kinds = plan.traffic.iter();
            let forward = kinds.filter(|t| matches!(t.kind, Kind::Forward | Kind::Activation));
            forward.map(of).sum::<u64>() as f64
        };
        let ticks = trained["ticks"].as_f64().context("ticks")?;
        let tests = plan.ticks.test as f64;
        let training = ticks - tests;
        let planned = training * plan.per_tick.messages as f64 + tests * forward(|t| t.messages);
        let planned_bytes =
            training * plan.per_tick.wire_bytes as f64 + tests * forward(|t| t.wire_bytes);
        println!(
            "  deliveries        {deliveries:8.0} by the broker, ratio to the plan {:.3}, {:.2} a neuron and tick",
            deliveries / planned,
            deliveries / ticks / plan.totals.neurons as f64,
        );
        println!(
            "  megabytes         {:8.1} by the broker, ratio to the plan {:.3}",
            bytes / 1e6,
            bytes / planned_bytes
        );
        Ok(())
    }

    /// The run's broker on its network, as the containers reach it: not through Docker's proxy.
    async fn broker(&self, deployed: &Deployed) -> anyhow::Result<Broker> {
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

/// Messages of one kind and layer, as the bare publisher sends them.
struct Parcels {
    exchange: String,
    keys: Vec<String>,
    payload: Vec<u8>,
}

/// A training tick's messages in the order of the protocol.
fn parcels(graph: &Graph, plan: &Plan) -> Vec<Parcels> {
    let run = graph.name.as_str();
    let parcels = |traffic: &Traffic| {
        let layer = graph
            .layers
            .iter()
            .find(|layer| layer.name == traffic.layer);
        let layer = layer.expect("the plan is of this graph");
        let payload = vec![0; (traffic.wire_bytes / traffic.messages) as usize];
        let queue = match traffic.kind {
            Kind::Forward => {
                return Parcels {
                    exchange: names::layer_exchange(run, &layer.name),
                    keys: vec![String::new()],
                    payload,
                };
            }
            Kind::Backward => Queue::In,
            Kind::Activation => Queue::Out,
            Kind::Contribution | Kind::Propagated => Queue::Back,
        };
        let units = 0..traffic.messages as usize;
        Parcels {
            exchange: names::exchange(run),
            keys: units
                .map(|unit| names::unit_queue(run, layer, unit, queue))
                .collect(),
            payload,
        }
    };
    plan.traffic.iter().map(parcels).collect()
}

/// How many ticks' messages a bare publisher and consumers move in a second, in the best of some
/// epochs.
async fn bare_ticks_per_second(
    broker: &Broker,
    graph: &Graph,
    plan: &Plan,
    epochs: u32,
) -> anyhow::Result<f64> {
    let mut graph = graph.clone();
    graph.name.push_str("-bare");
    let parcels = parcels(&graph, plan);
    let (publishing, consuming) = (
        broker.connect("bare publisher", LARGE_FRAMES).await?,
        broker.connect("bare consumers", LARGE_FRAMES).await?,
    );
    let channel = consuming.create_channel().await?;
    let wiring = Wiring::new(&graph);
    wiring.declare(&channel).await?;
    let (received, progress) = (Arc::new(AtomicU64::new(0)), Arc::new(Notify::new()));
    for queue in &wiring.queues {
        let options = BasicConsumeOptions {
            no_ack: true,
            ..BasicConsumeOptions::default()
        };
        let consumer = channel.basic_consume(
            queue.as_str().into(),
            "".into(),
            options,
            FieldTable::default(),
        );
        let mut consumer = consumer.await?;
        let (received, progress) = (received.clone(), progress.clone());
        let per_tick = plan.per_tick.messages;
        tokio::spawn(async move {
            while let Some(Ok(delivery)) = consumer.next().await {
                std::hint::black_box(&delivery.data);
                if (received.fetch_add(1, Ordering::Relaxed) + 1) % per_tick == 0 {
                    progress.notify_one();
                }
            }
        });
    }
    let publisher = publishing.create_channel().await?;
    let ticks = plan.ticks.train_per_epoch;
    let mut best: f64 = 0.0;
    let mut sent = 0;
    for _ in 0..epochs {
        let started = Instant::now();
        for _ in 0..ticks {
            while sent >= received.load(Ordering::Relaxed) / plan.per_tick.messages + IN_FLIGHT {
                progress.notified().await;
            }
            publish(&publisher, &parcels).await?;
            sent += 1;
        }
        while received.load(Ordering::Relaxed) < sent * plan.per_tick.messages {
            progress.notified().await;
        }
        best = best.max(ticks as f64 / started.elapsed().as_secs_f64());
    }
    wiring.remove(&channel).await?;
    for connection in [publishing, consuming] {
        connection.close(200, "done".into()).await?;
    }
    Ok(best)
}

async fn publish(channel: &Channel, parcels: &[Parcels]) -> anyhow::Result<()> {
    for parcels in parcels {
        for key in &parcels.keys {
            let published = channel.basic_publish(
                parcels.exchange.as_str().into(),
                key.as_str().into(),
                BasicPublishOptions::default(),
                &parcels.payload,
                BasicProperties::default(),
            );
            published.await?;
        }
    }
    Ok(())
}
