//! `chaos`: breaks a run in containers on purpose.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clap::ValueEnum;
use cuttlefish_core::topology::ActorKind;
use futures_util::stream::{self, StreamExt};
use tokio::signal::unix::{SignalKind, signal};

use super::{Exit, Failure, print, print_json, tell};
use crate::chaos::faults::FaultInjector;
use crate::chaos::report::RefusalCounts;
use crate::chaos::schedule::{FaultKind, FaultSchedule};
use crate::chaos::watch::Watcher;
use crate::chaos::{Chaos, Ending, Interrupt, StopCondition};
use crate::config::Config;
use crate::deploy::docker::DockerRun;
use crate::deploy::docker::endpoints::inspection_of;
use crate::run::{Error, recorded_graph};
use crate::run_dir::RunDir;

/// Inspections asked at once.
const AT_ONCE: usize = 16;

/// Time between a recovery and the next fault.
const PAUSE: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Args)]
#[command(
    long_about = "Break a run in containers on purpose, one thing after the other, and see it come \
    back\n\n\
    Whatever is broken, the run ends with the weights of an undisturbed one. A fault counts as \
    recovered when the next tick is finished (for a store: the next commit is reached), counted \
    from the fault's end, or from its beginning where something is killed or restarted. A line a \
    fault goes to stderr, a table to stdout.\n\n\
    Only containers, queues and services of the run are touched: a broker or store that was given \
    to it with --broker or --store may be in use by others.",
    after_help = "Ctrl-C undoes the fault under way and prints the table.\n\n\
    Examples:\n  cuttlefish chaos digits\n  \
    cuttlefish chaos digits --only kill,docker-kill --faults 50 --pause 1s\n  \
    cuttlefish chaos digits --seed 7 --for 10m --json"
)]
pub struct Args {
    /// The run
    run: String,
    /// Repeats the faults of an earlier time; drawn unless it is given
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// So many faults; by default one of each kind
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    faults: Option<u64>,
    /// Faults for so long, for example 90s or 10m
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, conflicts_with = "faults")]
    time: Option<Duration>,
    /// Only these kinds
    #[arg(long, value_name = "KIND,...", value_delimiter = ',', value_enum)]
    only: Vec<FaultKind>,
    /// Time between a recovery and the next fault, from half to one and a half of this
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "2s")]
    pause: Duration,
    /// Print one JSON document at the end instead of the table
    #[arg(long)]
    json: bool,
}

impl Args {
    /// The command that gives the same faults.
    fn repeat_command(&self, seed: u64) -> String {
        let mut command = format!("cuttlefish chaos {} --seed {seed}", self.run);
        if !self.only.is_empty() {
            let kinds: Vec<String> = self.only.iter().map(FaultKind::to_string).collect();
            command += &format!(" --only {}", kinds.join(","));
        }
        if let Some(faults) = self.faults {
            command += &format!(" --faults {faults}");
        }
        if let Some(time) = self.time {
            command += &format!(" --for {}s", time.as_secs());
        }
        if self.pause != PAUSE {
            command += &format!(" --pause {}s", self.pause.as_secs());
        }
        command
    }
}

/// `90s`, `10m`, `1h`; seconds without a unit.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(['s', 'm', 'h']);
    let seconds_each = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err("expected a number with s, m or h, for example 90s".to_owned()),
    };
    let number: u32 = digits
        .parse()
        .map_err(|_| "expected a whole number with s, m or h, for example 90s".to_owned())?;
    Ok(Duration::from_secs(u64::from(number) * seconds_each))
}

pub async fn run(args: &Args, config: &Config) -> Result<Exit, Failure> {
    let dir = RunDir::existing(&config.runs_dir, &args.run)?;
    let docker_run = DockerRun::open(dir).await.map_err(Error::from)?;
    let docker_run = Arc::new(docker_run);
    let run = docker_run.dir.name();
    let trainer = docker_run
        .inspect(ActorKind::Trainer.word())
        .await
        .map_err(Error::from)?;
    let snapshot = trainer.look(0).await.map_err(anyhow::Error::from)?;
    if snapshot.end.is_some() {
        let text = format_args!(
            "run `{run}` has ended: there is nothing to disturb (`cuttlefish train --resume {run} \
             --epochs N` goes on)"
        );
        return Err(Failure::new(Exit::Run, text));
    }
    let record = &docker_run.deployment.record;
    let graph = recorded_graph(run, record)?;
    let injector = FaultInjector::new(docker_run.clone(), &graph)?;
    let kinds = possible_kinds(&injector, &args.only).await?;
    let seed = args
        .seed
        .unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let stop = match args.time {
        Some(time) => StopCondition::Time(time),
        None => StopCondition::Faults(args.faults.unwrap_or(kinds.len() as u64)),
    };
    let chaos = Chaos {
        schedule: FaultSchedule::new(seed, &graph, &kinds, args.pause),
        watcher: Watcher::start(docker_run.clone()),
        injector,
        stop,
    };
    tell(format_args!("seed {seed}"));
    let number = AtomicUsize::new(0);
    let report = chaos
        .run(&mut interrupt()?, |outcome| {
            let number = number.fetch_add(1, Ordering::Relaxed) + 1;
            tell(outcome.line(number));
        })
        .await;
    let refused = count_refusals(&docker_run).await;
    if args.json {
        print_json(&report.document(run, seed, &refused))?;
    } else {
        print(&report.text(&args.repeat_command(seed), &refused))?;
    }
    if matches!(report.ending, Ending::NotRecovered | Ending::NotUndone) {
        let text = format_args!(
            "run `{run}` finishes no ticks (`cuttlefish ps {run}` shows its containers)"
        );
        return Err(Failure::new(Exit::Failed, text));
    }
    Ok(Exit::Ok)
}

/// The kinds that a person wants, all of them by default, as far as they can be carried out here.
async fn possible_kinds(
    injector: &FaultInjector,
    only: &[FaultKind],
) -> Result<Vec<FaultKind>, Failure> {
    let is_choice = !only.is_empty();
    let mut kinds = if is_choice {
        only
    } else {
        FaultKind::value_variants()
    }
    .to_vec();
    kinds.sort_unstable();
    kinds.dedup();
    let mut possible = Vec::new();
    for kind in kinds {
        match injector.obstacle(kind).await {
            None => possible.push(kind),
            Some(obstacle) if is_choice => {
                return Err(Failure::new(
                    Exit::Usage,
                    format_args!("{kind}: {obstacle}"),
                ));
            }
            Some(obstacle) => tell(format_args!("without {kind}: {obstacle}")),
        }
    }
    Ok(possible)
}

fn interrupt() -> Result<Interrupt, Failure> {
    let listen = |kind| signal(kind).map_err(|error| Failure::new(Exit::Failed, error));
    let mut interrupts = listen(SignalKind::interrupt())?;
    let mut terminations = listen(SignalKind::terminate())?;
    // A terminal that is closed must not leave a fault behind either.
    let mut hangups = listen(SignalKind::hangup())?;
    Ok(Interrupt::new(async move {
        tokio::select! {
            _ = interrupts.recv() => {}
            _ = terminations.recv() => {}
            _ = hangups.recv() => {}
        }
        tell("stopping, and undoing what is under way");
    }))
}

/// Messages that actors have refused or called foreign since they were last started.
async fn count_refusals(docker_run: &DockerRun) -> RefusalCounts {
    let (Ok(observed), Ok(token)) = (docker_run.observe().await, docker_run.secrets.read("token"))
    else {
        return RefusalCounts::new();
    };
    stream::iter(observed)
        .map(|one| {
            let token = token.clone();
            async move {
                let metrics = inspection_of(&one, &token)?.metrics().await;
                let count = |name: &str| metrics.get(name).map_or(0, |count| *count as u64);
                let refused = count("cuttlefish_messages_refused_total")
                    + count("cuttlefish_messages_foreign_total");
                Some((one.actor, refused))
            }
        })
        .buffered(AT_ONCE)
        .filter_map(|count| async move { count.filter(|(_, refused)| *refused > 0) })
        .collect()
        .await
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn a_command_can_be_repeated() {
        #[derive(clap::Parser)]
        struct CommandLine {
            #[command(flatten)]
            args: Args,
        }
        let again = |words: &[&str]| {
            let words = std::iter::once("chaos").chain(words.iter().copied());
            CommandLine::parse_from(words).args.repeat_command(9)
        };
        assert_eq!(again(&["digits"]), "cuttlefish chaos digits --seed 9");
        let options = [
            "--only",
            "kill,broker-wipe",
            "--faults",
            "5",
            "--pause",
            "1s",
        ];
        assert_eq!(
            again(&[&["digits"][..], &options].concat()),
            "cuttlefish chaos digits --seed 9 --only kill,broker-wipe --faults 5 --pause 1s"
        );
        let options = ["digits", "--for", "10m", "--json"];
        assert_eq!(
            again(&options),
            "cuttlefish chaos digits --seed 9 --for 600s"
        );
    }

    #[test]
    fn durations_have_units() {
        let seconds = |text| duration(text).map(|time| time.as_secs());
        assert_eq!(seconds("90"), Ok(90));
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("10m"), Ok(600));
        assert_eq!(seconds("2h"), Ok(7200));
        for wrong in ["", "s", "1.5s", "-1s", "1d", "1mm", "5s5"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
