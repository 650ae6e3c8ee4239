//! `train`: from a file to trained weights, or on from a run's last commit.

use std::path::PathBuf;

use cuttlefish_core::protocol::Verdict;

use super::screen::Screen;
use super::services::ServiceArgs;
use super::target::{EcsArgs, TargetArg, options};
use super::up::show_changes;
use super::{Exit, Failure, FileArgs, print, print_json, tell};
use crate::config::Config;
use crate::deploy::TargetKind;
use crate::report::summary;
use crate::run::{PreparedRun, RunRequest, TopologySource, TrainingResult, bring_up};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Ctrl-C commits and stops; a second one stops at once, and what was done \
    since the last commit is computed again after --resume.\n\nExamples:\n  \
    cuttlefish train topology/digits.yaml\n  \
    cuttlefish train topology/mnist.yaml --data-dir data/mnist --epochs 3 --neurons-per-unit 1\n  \
    cuttlefish train --resume digits --epochs 60"
)]
pub struct Args {
    /// The topology file
    #[arg(required_unless_present = "resume", conflicts_with = "resume")]
    file: Option<PathBuf>,
    /// Go on with a run from its last commit; ends with the bits of an uninterrupted run
    #[arg(long, value_name = "RUN")]
    resume: Option<String>,
    /// Replace a run of the same name
    #[arg(long, conflicts_with = "resume")]
    overwrite: bool,
    /// Where the actors live [default: local, or where the run is]
    #[arg(long, value_enum)]
    target: Option<TargetArg>,
    #[command(flatten)]
    file_args: FileArgs,
    /// Print one JSON document at the end instead of the summary
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
    /// Return as soon as the run trains; `cuttlefish attach` watches it (docker)
    #[arg(short, long)]
    detach: bool,
    /// Remove the run's containers when it has ended; its weights go with its own store (docker)
    #[arg(long, conflicts_with = "detach")]
    down: bool,
    /// What the console has kept of the run, which becomes the run's own once it has come up
    #[arg(long, hide = true, value_name = "DIR", conflicts_with = "resume")]
    console_files: Option<PathBuf>,
    #[command(flatten)]
    services: ServiceArgs,
    #[command(flatten)]
    ecs: EcsArgs,
}

pub async fn run(args: &Args, config: &Config) -> Result<Exit, Failure> {
    let overrides = args.file_args.overrides();
    let requested = args.target.map(TargetKind::from);
    let (prepared, target) = match (&args.file, &args.resume) {
        (Some(file), _) => {
            let target = requested.unwrap_or(TargetKind::Local);
            let request = RunRequest {
                topology: TopologySource::File(file),
                overrides: &overrides,
                target,
                overwrite: args.overwrite,
            };
            (PreparedRun::from_topology(&request, config).await?, target)
        }
        (None, Some(run)) => {
            let prepared = PreparedRun::from_run(run, &overrides, config).await?;
            let target = requested.or(prepared.target).unwrap_or(TargetKind::Local);
            (prepared, target)
        }
        (None, None) => unreachable!("clap asks for one of them"),
    };
    if target == TargetKind::Local && (args.detach || args.down) {
        let text = "--detach and --down are for runs in containers (see --target)";
        return Err(Failure::new(Exit::Usage, text));
    }
    let is_up = prepared.target.is_some();
    let options = options(target, is_up, &args.services, &args.ecs, config)?;
    let monitor = Screen::listening(args.quiet, target)?;
    let up = bring_up(prepared, options, &monitor).await?;
    if let Some(kept) = &args.console_files
        && let Err(error) = up.run.dir().take_console(kept)
    {
        // The run is none the worse for it.
        tell(format_args!("failed to {error}"));
    }
    show_changes(&up, &monitor);
    if args.detach {
        return Ok(Exit::Ok);
    }
    let trained = up.train(&monitor).await?;
    report(&trained, args.json)?;
    if args.down {
        up.run.down(&monitor).await?;
    }
    Ok(end(&trained, args.down))
}

/// Prints the results of a training.
pub fn report(trained: &TrainingResult, as_json: bool) -> Result<(), Failure> {
    if as_json {
        print_json(&trained.document())?;
    } else {
        let mut text = summary::summary(&trained.progress, &trained.task);
        text.push_str(&format!(
            "\n{} parameters, {} ticks in {:.1} s, {:.0} samples/s\n",
            trained.parameters,
            trained.progress.tick,
            trained.totals.elapsed.as_secs_f64(),
            trained.samples_per_second(),
        ));
        text.push_str(&format!("weights sha256 {}\n", trained.weights_sha256));
        if let Some(curves) = &trained.curves {
            text.push_str(&format!("curves {}\n", curves.display()));
        }
        print(&text)?;
    }
    Ok(())
}

/// Exit code of a training; of one that was stopped it is said what may come next, or that the run `is_removed`.
pub fn end(trained: &TrainingResult, is_removed: bool) -> Exit {
    if trained.verdict != Verdict::Stopped {
        return Exit::Ok;
    }
    let (tick, run) = (trained.progress.tick, &trained.run);
    let next = match is_removed {
        true => format!("run {run} is removed, as --down asks"),
        false => format!("go on with `cuttlefish train --resume {run}`"),
    };
    tell(format_args!("stopped after tick {tick}; {next}"));
    Exit::Interrupted
}
