//! The command line: data on stdout, everything else on stderr.

mod attach;
mod chaos;
mod console;
mod down;
mod evaluate;
pub mod exit;
mod export;
mod image;
mod import;
mod inspect;
mod logs;
mod plan;
mod predict;
mod ps;
mod render;
mod screen;
mod services;
mod store;
mod sweep;
mod target;
mod train;
mod trials;
mod up;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser, Subcommand};

use crate::config::Config;
use crate::log;
use crate::run::Overrides;
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
    /// Serve a web console and its REST API
    Console(console::Args),
    /// Show what a run's containers have written
    Logs(logs::Args),
    /// Build the image of the containers
    #[command(subcommand)]
    Image(image::ImageCommand),
    /// Serve a store that speaks DynamoDB's protocol, for the containers of a host
    Store(store::Args),
    /// Train many topologies over one data set, and find the best
    Sweep(sweep::Args),
    /// Train trials of sweeps that are served elsewhere
    Worker(sweep::WorkerArgs),
    /// Show what the trials of a sweep came to
    Trials(trials::Args),
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
    Ps(ps::Args),
    /// Remove a run and everything that belongs to it
    Down(down::Args),
    /// Print a script that completes commands in a shell
    #[command(after_help = "Examples:\n  source <(cuttlefish completions bash)")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a directory
    #[command(after_help = "Examples:\n  cuttlefish man ~/.local/share/man/man1")]
    Man {
        /// The directory
        #[arg(value_name = "DIR")]
        dir: PathBuf,
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
    fn overrides(&self) -> Overrides {
        let mut values = self.overrides.clone();
        values.extend(self.seed.map(|seed| format!("seed={seed}")));
        values.extend(
            self.epochs
                .map(|epochs| format!("training.epochs={epochs}")),
        );
        if self.no_shuffle {
            values.push("training.shuffle=false".to_owned());
        }
        Overrides {
            values,
            neurons_per_unit: self.neurons_per_unit,
        }
    }
}

/// Reads the command line, does what it says, and returns the exit code.
pub fn main() -> Exit {
    let cli = Cli::parse();
    init_logs(cli.verbose);
    let config = Config::from_process(cli.data_dir, cli.runs_dir);
    let result = crate::block_on(run(cli.command, &config));
    result.unwrap_or_else(|failure| {
        let style = anstyle::Style::new()
            .bold()
            .fg_color(Some(anstyle::AnsiColor::Red.into()));
        tell(format_args!("{style}error{style:#}: {}", failure.message));
        failure.exit
    })
}

async fn run(command: Command, config: &Config) -> Result<Exit, Failure> {
    match command {
        Command::Plan(args) => plan::run(&args, config).await,
        Command::Train(args) => train::run(&args, config).await,
        Command::Up(args) => up::run(&args, config).await,
        Command::Attach(args) => attach::run(&args, config).await,
        Command::Chaos(args) => chaos::run(&args, config).await,
        Command::Render(args) => render::run(args, config).await,
        Command::Console(args) => console::run(args, config).await,
        Command::Logs(args) => logs::run(&args, config).await,
        Command::Image(command) => image::run(&command).await,
        Command::Store(args) => store::run(&args).await,
        Command::Sweep(args) => sweep::run(&args, config).await,
        Command::Worker(args) => sweep::worker(&args, config).await,
        Command::Trials(args) => trials::run(&args, config).await,
        Command::Eval(args) => evaluate::run(&args, config).await,
        Command::Predict(args) => predict::run(&args, config).await,
        Command::Export(args) => export::run(&args, config).await,
        Command::Import(args) => import::run(&args, config).await,
        Command::Digest(args) => inspect::digest(&args, config).await,
        Command::Inspect(args) => inspect::run(&args, config).await,
        Command::Ps(args) => ps::run(&args, config).await,
        Command::Down(args) => down::run(&args, config).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "cuttlefish", &mut script);
            print(&String::from_utf8_lossy(&script)).map(|()| Exit::Ok)
        }
        Command::Man { dir } => write_manual(&dir).map(|()| Exit::Ok),
    }
}

fn init_logs(verbose: u8) {
    let level = match verbose {
        // The error that follows tells what the SDK says about its connections.
        0 => "warn,aws_config=error,aws_smithy_runtime=off,lapin=off",
        1 => "info,cuttlefish=debug,lapin=off,aws_config=warn",
        _ => "debug",
    };
    log::init(level);
}

/// Writes a manual page a command.
fn write_manual(dir: &Path) -> Result<(), Failure> {
    let written =
        std::fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(Cli::command(), dir));
    written.map_err(|error| {
        let dir = dir.display();
        Failure::new(
            Exit::Failed,
            format_args!("failed to write to `{dir}`: {error}"),
        )
    })
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
