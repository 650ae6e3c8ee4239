//! `sweep` and `worker`: many topologies over one data set.

use std::path::PathBuf;
use std::sync::Arc;

use cuttlefish_core::sweep::Metric;
use serde_json::{Value, json};

use super::screen::Screen;
use super::{Exit, Failure, FileArgs, print, print_json, tell};
use crate::config::Config;
use crate::deploy::TargetKind;
use crate::report::numbers::{figure, thousands};
use crate::report::table::align;
use crate::run::TopologySource;
use crate::store::DEFAULT_TABLE;
use crate::sweep::progress::{FinishedTrial, Progress, Verdict};
use crate::sweep::server::Ended;
use crate::sweep::shared::{self, Services};
use crate::sweep::winner::Winner;
use crate::sweep::{Error, PreparedSweep, Sweep, here};
use crate::transport::amqp::Broker;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without --broker the trials are trained in this process, one a core. With it they are tasks \
    for workers anywhere (`cuttlefish worker`), which need the same broker and the same store.\n\n\
    Ctrl-C stops; the same command goes on, and ends with the same table.\n\nExamples:\n  \
    cuttlefish sweep topology/digits-sweep.yaml\n  \
    cuttlefish sweep topology/digits-sweep.yaml --broker amqp://user:password@host:5672/%2f --store \
    http://host:8000\n  \
    cuttlefish export digits-sweep --winner -o best.yaml"
)]
pub struct Args {
    /// A topology file with a `sweep:` section
    file: PathBuf,
    #[command(flatten)]
    file_args: FileArgs,
    /// Trials that are trained at a time in this process [default: the machine's cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    slots: Option<u16>,
    /// Replace a sweep of the same name
    #[arg(long)]
    overwrite: bool,
    /// Print one JSON document at the end instead of the table
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    services: SharedArgs,
}

/// Broker and store that server and workers share.
#[derive(Debug, clap::Args)]
pub struct SharedArgs {
    /// The broker of tasks: amqp://user:password@host:port/vhost, amqps for TLS [env for workers:
    /// CUTTLEFISH_BROKER]
    #[arg(long, value_name = "URL")]
    broker: Option<String>,
    /// Certificates to trust at the broker beside the system's, a PEM file [env: CUTTLEFISH_BROKER_CA]
    #[arg(long, value_name = "FILE", requires = "broker")]
    broker_ca: Option<PathBuf>,
    /// The store of results: `aws` for the region's DynamoDB, or the URL of another [env:
    /// AWS_ENDPOINT_URL_DYNAMODB]
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// The table of the store
    #[arg(long, value_name = "NAME", default_value = DEFAULT_TABLE)]
    table: String,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    cuttlefish store --file sweeps.db &\n  \
    cuttlefish worker --broker amqp://user:password@host:5672/%2f --store http://host:8000\n  \
    cuttlefish worker --name rack-3 --slots 8")]
pub struct WorkerArgs {
    /// Name of the worker, as the broker's dashboard shows it [default: worker- and the process]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Trials that are trained at a time [default: the machine's cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    slots: Option<u16>,
    #[command(flatten)]
    services: SharedArgs,
}

impl SharedArgs {
    /// Broker and store; `None` without a broker. With `is_worker` the environment may name it.
    fn resolve(&self, config: &Config, is_worker: bool) -> Result<Option<Services>, Failure> {
        let usage = |text: String| Failure::new(Exit::Usage, text);
        let environment = config.services.broker.as_ref().filter(|_| is_worker);
        let Some(url) = self.broker.as_ref().or(environment) else {
            return Ok(None);
        };
        let ca = self
            .broker_ca
            .as_deref()
            .or(config.services.broker_ca.as_deref());
        let broker = Broker::parse(url, ca).map_err(|error| usage(format!("failed to {error}")))?;
        let store = match self.store.as_ref().or(config.services.dynamodb.as_ref()) {
            Some(word) if word == "aws" => None,
            Some(url) if url.starts_with("http://") || url.starts_with("https://") => {
                Some(url.clone())
            }
            Some(other) => {
                return Err(usage(format!(
                    "--store: `{other}` is neither `aws` nor a URL like http://host:8000"
                )));
            }
            None => {
                return Err(usage(
                    "with a broker, results need a store that all workers reach: --store aws, or the URL of \
                     one like `cuttlefish store --file sweeps.db`"
                        .to_owned(),
                ));
            }
        };
        Ok(Some(Services {
            broker,
            store,
            table: self.table.clone(),
        }))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match error {
            Error::File(error) => return error.into(),
            Error::NoSweep { .. }
            | Error::Value { .. }
            | Error::NoValidation
            | Error::Metric { .. }
            | Error::TooManyForStopping { .. } => Exit::Usage,
            Error::Data(_)
            | Error::DataChanged { .. }
            | Error::OtherWinner
            | Error::NoData { .. } => Exit::Data,
            Error::Exists { .. } | Error::Unknown { .. } | Error::NoWinner { .. } => Exit::Run,
            Error::Directory(error) => return crate::run::Error::Directory(error).into(),
            _ => Exit::Failed,
        };
        Self::new(exit, error)
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

pub async fn run(args: &Args, config: &Config) -> Result<Exit, Failure> {
    let overrides = args.file_args.overrides();
    let services = args.services.resolve(config, false)?;
    let prepared = PreparedSweep::new(TopologySource::File(&args.file), &overrides, config)?;
    let monitor = Arc::new(Screen::listening(args.quiet, TargetKind::Local)?);
    monitor.begin("trials", prepared.n_trials as usize);
    let metric = prepared.definition.metric;
    let mut on_trial = |trial: &FinishedTrial, _: &Progress| monitor.done(&shown(trial, metric));
    let served = match &services {
        None => {
            let slots = args.slots.map_or_else(cores, usize::from);
            let how = (slots, args.overwrite);
            here::run(prepared, how, config, &monitor, &mut on_trial).await
        }
        Some(services) => {
            let overwrite = args.overwrite;
            let serving = shared::serve(
                prepared,
                services,
                overwrite,
                config,
                &monitor,
                &mut on_trial,
            );
            serving.await
        }
    };
    monitor.end();
    let (prepared, progress, ended) = served?;
    if ended == Ended::Interrupted {
        tell(format_args!(
            "stopped after {} of {} trials; the same command goes on",
            progress.n_finished, prepared.n_trials
        ));
        return Ok(Exit::Interrupted);
    }
    report(&prepared, &progress, ended, args.json, config).await?;
    Ok(Exit::Ok)
}

pub async fn worker(args: &WorkerArgs, config: &Config) -> Result<Exit, Failure> {
    let Some(services) = args.services.resolve(config, true)? else {
        let text = "a worker needs the broker of its tasks: --broker URL, or CUTTLEFISH_BROKER";
        return Err(Failure::new(Exit::Usage, text));
    };
    let slots = args.slots.map_or_else(cores, usize::from);
    let name = match &args.name {
        Some(name) => name.clone(),
        None => format!("worker-{}", std::process::id()),
    };
    let monitor = Arc::new(Screen::listening(false, TargetKind::Local)?);
    tell(format_args!(
        "{name} takes tasks from {}, {slots} at a time; Ctrl-C ends it",
        services.broker
    ));
    shared::work(&services, &name, slots, &monitor).await?;
    Ok(Exit::Ok)
}

/// A trial in a few words, for the display of progress.
fn shown(trial: &FinishedTrial, metric: Metric) -> String {
    let result = match &trial.verdict {
        Verdict::Completed(completed) => format!("{} {:.4}", metric.word(), completed.mean),
        Verdict::Stopped { epoch } => format!("stopped after epoch {epoch}"),
        Verdict::Failed(reason) => format!("failed: {reason}"),
    };
    format!("trial {}: {result}", trial.number)
}

/// Values of a trial's parameters in one line, each under the last word of its path where that is enough.
fn values_text(values: &[(String, Value)]) -> String {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let is_one = |word: &str| values.iter().filter(|(path, _)| last(path) == word).count() == 1;
    let shown = |(path, value): &(String, Value)| {
        let word = Some(last(path)).filter(|word| is_one(word));
        let word = word.as_ref().unwrap_or(path);
        match value {
            Value::String(text) => format!("{word}={text}"),
            Value::Number(number) if number.is_f64() => {
                let number = number.as_f64().unwrap_or_default();
                format!("{word}={}", figure(number))
            }
            _ => format!("{word}={value}"),
        }
    };
    values.iter().map(shown).collect::<Vec<_>>().join(" ")
}

/// Prints the best trials, and trains the winner once more with the test rows.
async fn report(
    prepared: &PreparedSweep,
    progress: &Progress,
    ended: Ended,
    as_json: bool,
    config: &Config,
) -> Result<(), Failure> {
    let winner = Winner::of(&prepared.name, &prepared.definition, progress)?;
    let test = winner.test(prepared).await?;
    let sweep = Sweep::open(config, &prepared.name).await?;
    let table_sha256 = sweep.table_sha256().await?;
    if as_json {
        return print_json(&json!({
            "sweep": prepared.name,
            "metric": prepared.definition.metric,
            "trials": progress.n_finished,
            "stopped_early": progress.n_stopped,
            "failed": progress.n_failed,
            "epochs": progress.n_epochs,
            "is_out_of_time": ended == Ended::OutOfTime,
            "baseline": prepared.baseline,
            "best": progress.best().iter().map(trial_document).collect::<Vec<_>>(),
            "winner": {
                "trial": winner.trial.number,
                "weights_sha256": winner.weights_sha256,
                "test": test,
            },
            "table_sha256": table_sha256,
        }));
    }
    let mut text = ranking(prepared.definition.metric, progress);
    let metric = prepared.definition.metric;
    let baseline = crate::sweep::trial::value(metric, f64::NAN, &prepared.baseline);
    if let Some(baseline) = baseline {
        text.push_str(&format!(
            "without any feature: {} {baseline:.4}\n",
            metric.word()
        ));
    }
    text.push_str(&format!(
        "\n{} trials, {} of them stopped early and {} failed; {} epochs\n",
        thousands(u64::from(progress.n_finished)),
        progress.n_stopped,
        progress.n_failed,
        thousands(progress.n_epochs),
    ));
    if let Some(failure) = &progress.failure {
        text.push_str(&format!("the first failure: {failure}\n"));
    }
    if ended == Ended::OutOfTime {
        text.push_str("the sweep's time was up (sweep.max_time)\n");
    }
    let number = winner.trial.number;
    if let Some(test) = test {
        let figure = match (test.accuracy, test.mse) {
            (Some(accuracy), _) => format!("accuracy {accuracy:.4}"),
            (None, Some(mse)) => format!("mse {mse:.4}"),
            (None, None) => format!("loss {:.4}", test.loss),
        };
        text.push_str(&format!(
            "the winner, trial {number}, on the test rows: {figure}\n"
        ));
    }
    text.push_str(&format!(
        "winner's weights sha256 {}\ntable sha256 {table_sha256}\n",
        winner.weights_sha256
    ));
    print(&text)
}

/// The best trials as lines.
pub fn ranking(metric: Metric, progress: &Progress) -> String {
    let mut rows = vec![vec![
        "trial".to_owned(),
        "parameters".to_owned(),
        metric.word().to_owned(),
        "+-".to_owned(),
    ]];
    for trial in progress.best().iter().take(10) {
        if let Verdict::Completed(completed) = &trial.verdict {
            let spread = completed.deviation;
            rows.push(vec![
                trial.number.to_string(),
                values_text(&trial.values),
                format!("{:.4}", completed.mean),
                spread.map_or(String::new(), |spread| format!("{spread:.4}")),
            ]);
        }
    }
    align(&rows, 2)
}

fn trial_document(trial: &FinishedTrial) -> Value {
    let values: serde_json::Map<_, _> = trial.values.iter().cloned().collect();
    match &trial.verdict {
        Verdict::Completed(completed) => json!({
            "trial": trial.number,
            "values": values,
            "mean": completed.mean,
            "deviation": completed.deviation,
            "weights_sha256": completed.first.1,
        }),
        _ => json!({"trial": trial.number, "values": values}),
    }
}
