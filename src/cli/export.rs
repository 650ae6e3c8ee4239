//! `export`: a run's weights as a file that other programs read.

use std::io::Write;
use std::path::PathBuf;

use clap::ValueEnum;

use super::{Exit, Failure, tell};
use crate::config::Config;
use crate::export::WeightsFormat;
use crate::layout::Layout;
use crate::run::Run;
use crate::sweep::Sweep;
use crate::sweep::winner::Winner;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Tensors are named as in Keras: `<layer>/kernel` with shape [fan_in, units], \
    of a convolution [height, width, channels, filters], and `<layer>/bias`; of a batch normalization \
    `gamma`, `beta`, `moving_mean` and `moving_variance`, behind its own name or else that of its layer.\n\n\
    With `--layout torch` they are the state of a torch.nn.Sequential of the same layers: `0.weight` with shape \
    [units, fan_in], of a convolution [filters, channels, height, width], `0.bias`, and of a batch normalization \
    `weight`, `bias`, `running_mean` and `running_var`. Modules are numbered from 0 in the order of the file's \
    layers; each layer is one, and an activation that is not linear is one more behind its layer.\n\nExamples:\n  \
    cuttlefish export digits --format safetensors -o digits.safetensors\n  \
    cuttlefish export digits --format npz -o digits.npz\n  \
    cuttlefish export digits --layout torch -o digits-torch.safetensors\n  \
    cuttlefish export digits-sweep --winner -o best.yaml"
)]
pub struct Args {
    /// The run, or with --winner the sweep
    run: String,
    /// Write the topology of a sweep's best trial, which trains to its weights
    #[arg(long, conflicts_with_all = ["format", "layout"])]
    winner: bool,
    /// The form of the file
    #[arg(long, value_enum, default_value_t = FormatArg::Safetensors)]
    format: FormatArg,
    /// The program whose names and shapes the tensors have
    #[arg(long, value_enum, default_value_t = LayoutArg::Keras)]
    layout: LayoutArg,
    /// The file
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Replace the file if it exists
    #[arg(long)]
    overwrite: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormatArg {
    /// Hugging Face's safetensors
    Safetensors,
    /// NumPy's archive of arrays
    Npz,
}

/// Program whose names and shapes tensors have.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LayoutArg {
    /// Keras
    Keras,
    /// PyTorch
    Torch,
}

impl From<LayoutArg> for Layout {
    fn from(layout: LayoutArg) -> Self {
        match layout {
            LayoutArg::Keras => Self::Keras,
            LayoutArg::Torch => Self::Torch,
        }
    }
}

pub async fn run(args: &Args, config: &Config) -> Result<Exit, Failure> {
    if args.winner {
        return export_winner(args, config).await;
    }
    let run = Run::open(config, &args.run).await?;
    let format = match args.format {
        FormatArg::Safetensors => WeightsFormat::Safetensors,
        FormatArg::Npz => WeightsFormat::Npz,
    };
    let form = (format, args.layout.into());
    let exported = run.export(&args.output, form, args.overwrite).await?;
    tell(format_args!(
        "wrote {} tensors to {}",
        exported.tensors,
        args.output.display()
    ));
    for note in &exported.notes {
        tell(format_args!("note: {note}"));
    }
    if let Some(target) = exported.target {
        tell(format_args!(
            "the network was trained on a scaled target: {}",
            target.formula()
        ));
    }
    Ok(Exit::Ok)
}

async fn export_winner(args: &Args, config: &Config) -> Result<Exit, Failure> {
    let sweep = Sweep::open(config, &args.run).await?;
    let winner = Winner::of(&args.run, &sweep.definition, &sweep.progress().await?)?;
    let text = winner.file(&sweep.definition.base_dir)?;
    let mut options = std::fs::OpenOptions::new();
    options
        .write(true)
        .create(args.overwrite)
        .truncate(args.overwrite);
    options.create_new(!args.overwrite);
    let written = options
        .open(&args.output)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::AlreadyExists => " (replace it with --overwrite)",
            _ => "",
        };
        let output = args.output.display();
        let text = format_args!("failed to write `{output}`: {error}{hint}");
        Failure::new(Exit::Failed, text)
    })?;
    tell(format_args!(
        "wrote trial {} to {}; `cuttlefish train` of it ends with weights sha256 {}",
        winner.trial.number,
        args.output.display(),
        winner.weights_sha256
    ));
    Ok(Exit::Ok)
}
