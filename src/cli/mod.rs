//! The command line: data on stdout, everything else on stderr.

mod attach;
mod chaos;
mod ecs;
mod evaluate;
pub mod exit;
mod export;
mod image;
mod import;
mod inspect;
mod list;
mod live;
mod logs;
mod outcome;
mod plan;
mod predict;
mod render;
mod services;
mod store;
mod told;
mod train;
mod units;
mod up;
mod watch;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser, Subcommand};
use cuttlefish_core::topology::{self, Document, Graph, Grouping, Problems, yaml};

use crate::config::Config;
use crate::data::file::read_file_up_to;
use crate::log;
use crate::orchestrator::Deployed;
use crate::orchestrator::on_ecs::OnEcs;
use crate::runs::{Record, RunDir, SavedRun};
pub use exit::{Exit, Failure};

/// Neural networks whose neurons are actors: one file trains in one process or in a container a
/// neuron, and gives the same weights.
#[derive(Debug, Parser)]
#[command(
    name = "cuttlefish",
    version,
    propagate_version = true,
    max_term_width = 100
)]
#[command(after_help = "Examples:\n  \
    cuttlefish train topology/digits.yaml\n  \
    cuttlefish train topology/mnist.yaml --data-dir data/mnist --set training.epochs=3\n  \
    cuttlefish predict digits --input rows.csv\n  \
    cuttlefish export digits --format safetensors -o digits.safetensors")]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Where data sets are looked for and kept [env: CUTTLEFISH_DATA_DIR] [default: the
    /// platform's cache directory]
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where local runs are kept [env: CUTTLEFISH_RUNS_DIR] [default: the platform's data
    /// directory]
    #[arg(long, global = true, value_name = "DIR")]
    runs_dir: Option<PathBuf>,
    /// Log more to stderr: -v what happens, -vv every request
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what a topology file expands to: units, messages, memory. Changes nothing
    Plan(plan::Args),
    /// Train the network of a topology file, or go on with a run
    Train(train::Args),
    /// Bring up a run in containers, or to what its file says now
    Up(up::Args),
    /// Watch a run in containers
    Attach(attach::Args),
    /// Break a run in containers on purpose, and see it come back
    Chaos(chaos::Args),
    /// Write a run as manifests for Docker Compose or Kubernetes, which need this program no more
    Render(render::Args),
    /// Show what a run's containers have written
    Logs(logs::Args),
    /// Build the image of the containers
    #[command(subcommand)]
    Image(image::Command),
    /// Serve a store that speaks DynamoDB's protocol, for the containers of a host
    Store(store::Args),
    /// Evaluate a run's weights
    Eval(evaluate::Args),
    /// Answer rows that the run has not seen
    Predict(predict::Args),
    /// Write a run's weights to a file that other programs read
    Export(export::Args),
    /// Begin a run with weights that were trained elsewhere
    Import(import::Args),
    /// Print the SHA-256 of a run's weights
    Digest(inspect::DigestArgs),
    /// Look at a run, a layer or one neuron
    Inspect(inspect::Args),
    /// List runs, or what one run consists of
    Ps(list::PsArgs),
    /// Remove a run and everything that belongs to it
    Down(list::DownArgs),
    /// Print a script that completes commands in a shell
    #[command(after_help = "Examples:\n  source <(cuttlefish completions bash)")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// A topology file with overrides, as several commands take it.
#[derive(Debug, clap::Args)]
struct FileArgs {
    /// Override a value of the file, for example training.epochs=3; may be repeated
    #[arg(long = "set", value_name = "PATH=VALUE")]
    overrides: Vec<String>,
    /// Seed of every random draw: the same as --set seed=N
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Passes over the training rows: the same as --set training.epochs=N
    #[arg(long, value_name = "N")]
    epochs: Option<u32>,
    /// Take the rows in file order: the same as --set training.shuffle=false
    #[arg(long)]
    no_shuffle: bool,
    /// Neurons hosted by one actor; by default whole layers in one process, and as the file says in
    /// containers
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    neurons_per_unit: Option<u32>,
}

impl FileArgs {
    /// All overrides, those with a flag of their own last.
    fn overrides(&self) -> Vec<String> {
        let mut overrides = self.overrides.clone();
        overrides.extend(self.seed.map(|seed| format!("seed={seed}")));
        overrides.extend(
            self.epochs
                .map(|epochs| format!("training.epochs={epochs}")),
        );
        if self.no_shuffle {
            overrides.push("training.shuffle=false".to_owned());
        }
        overrides
    }

    /// How neurons are grouped; `default` unless a person says otherwise.
    fn grouping(&self, default: Grouping) -> Grouping {
        self.neurons_per_unit
            .map_or(default, |n| Grouping::Units(n as usize))
    }
}

/// A topology file that has been read.
struct TopologyFile {
    path: PathBuf,
    text: String,
    document: Document,
}

impl TopologyFile {
    fn read(path: &Path, overrides: &[String]) -> Result<Self, Failure> {
        let bytes = read_file_up_to(path, yaml::MAX_BYTES as u64).map_err(|error| {
            let hint = "give the path of a topology file, for example topology/digits.yaml";
            Failure::new(Exit::Usage, format_args!("failed to {error}\n{hint}"))
        })?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let path = path.display();
            Failure::new(
                Exit::Usage,
                format_args!("failed to read `{path}`: byte {at} is not UTF-8 (save it as UTF-8)"),
            )
        })?;
        match topology::parse(&text, overrides) {
            Ok(document) => Ok(Self {
                path: path.to_owned(),
                text,
                document,
            }),
            Err(problems) => Err(topology_failure(path, &text, &problems)),
        }
    }

    /// The directory that paths in the file are relative to.
    fn base_dir(&self) -> PathBuf {
        let parent = self.path.parent().unwrap_or(Path::new("."));
        std::path::absolute(parent).unwrap_or_else(|_| parent.to_owned())
    }

    fn failure(&self, problems: &Problems) -> Failure {
        topology_failure(&self.path, &self.text, problems)
    }
}

fn topology_failure(path: &Path, text: &str, problems: &Problems) -> Failure {
    let count = problems.count();
    let s = if count == 1 { "" } else { "s" };
    let rendered = problems.render(&path.display().to_string(), text);
    Failure::new(
        Exit::Usage,
        format_args!(
            "{}\n{count} problem{s} in `{}`",
            rendered.trim_end(),
            path.display()
        ),
    )
}

/// Reads the command line, does what it says, and returns the exit code.
pub fn main() -> Exit {
    let cli = Cli::parse();
    init_logs(cli.verbose);
    let config = Config::from_process(cli.data_dir, cli.runs_dir);
    let result = match cli.command {
        Command::Plan(args) => plan::run(&args, &config),
        Command::Train(args) => train::run(&args, &config),
        Command::Up(args) => up::run(&args, &config),
        Command::Attach(args) => attach::run(&args, &config),
        Command::Chaos(args) => block_on(chaos::run(&args, &config)),
        Command::Render(args) => block_on(render::run(args, &config)),
        Command::Logs(args) => block_on(logs::run(&args, &config)),
        Command::Image(command) => block_on(image::run(&command)),
        Command::Store(args) => store::run(&args),
        Command::Eval(args) => block_on(evaluate::run(&args, &config)),
        Command::Predict(args) => block_on(predict::run(&args, &config)),
        Command::Export(args) => block_on(export::run(&args, &config)),
        Command::Import(args) => import::run(&args, &config),
        Command::Digest(args) => block_on(inspect::digest(&args, &config)),
        Command::Inspect(args) => block_on(inspect::run(&args, &config)),
        Command::Ps(args) => block_on(list::ps(&args, &config)),
        Command::Down(args) => block_on(list::down(&args, &config)),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "cuttlefish", &mut script);
            print(&String::from_utf8_lossy(&script)).map(|()| Exit::Ok)
        }
    };
    result.unwrap_or_else(|failure| {
        let style = anstyle::Style::new()
            .bold()
            .fg_color(Some(anstyle::AnsiColor::Red.into()));
        tell(format_args!("{style}error{style:#}: {}", failure.message));
        failure.exit
    })
}

fn init_logs(verbose: u8) {
    let level = match verbose {
        // What the SDK says about its connections is told by the error that follows.
        0 => "warn,aws_config=error,aws_smithy_runtime=off,lapin=off",
        1 => "info,cuttlefish=debug,lapin=off,aws_config=warn",
        _ => "debug",
    };
    log::init(level);
}

/// Reads a run from its store, wherever that is.
async fn open(config: &Config, name: &str) -> Result<(RunDir, SavedRun), Failure> {
    let run = RunDir::existing(&config.runs_dir, name)?;
    let saved = read(&run).await?;
    Ok((run, saved))
}

async fn read(run: &RunDir) -> Result<SavedRun, Failure> {
    if run.is_deployed() {
        let deployed = Deployed::open(run.clone()).await?;
        Ok(SavedRun::read_from(run.name(), deployed.store().await?).await?)
    } else if run.is_on_ecs() {
        let store = OnEcs::open(run.clone()).await?.store().await?;
        Ok(SavedRun::read_from(run.name(), store).await?)
    } else {
        Ok(run.saved().await?)
    }
}

/// A run in containers.
async fn deployed(run: &str, config: &Config) -> Result<Deployed, Failure> {
    let dir = RunDir::existing(&config.runs_dir, run)?;
    if dir.is_on_ecs() {
        let text = format_args!(
            "run `{run}` is on ECS, whose tasks this command does not reach (CloudWatch has their logs)"
        );
        return Err(Failure::new(Exit::Run, text));
    }
    if !dir.is_deployed() {
        let text = format_args!("run `{run}` has no containers: it trains in one process");
        return Err(Failure::new(Exit::Run, text));
    }
    Ok(Deployed::open(dir).await?)
}

/// The network of a run as it was last brought up.
fn recorded_graph(record: &Record) -> Result<Graph, Failure> {
    record.graph(record.grouping).map_err(|problems| {
        Failure::new(Exit::Failed, format_args!("the run's record: {problems}"))
    })
}

/// Runs a command that asks a store.
fn block_on<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, format_args!("failed to start: {error}")))?;
    runtime.block_on(command)
}

/// Prints data. A reader that has seen enough (`| head`) is no error.
fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::new(
            Exit::Failed,
            format_args!("failed to write to stdout: {error}"),
        )),
        _ => Ok(()),
    }
}

/// Tells people something on stderr. That nobody can read it is no reason to fail.
fn tell(text: impl std::fmt::Display) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// Prints one JSON document.
fn print_json(value: &serde_json::Value) -> Result<(), Failure> {
    print(&format!("{value:#}\n"))
}
