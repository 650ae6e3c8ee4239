//! `import`: a run that begins with weights from elsewhere.

use std::path::PathBuf;

use super::export::LayoutArg;
use super::screen::Screen;
use super::services::ServiceArgs;
use super::target::{EcsArgs, TargetArg, options};
use super::up::show_changes;
use super::{Exit, Failure, FileArgs, tell};
use crate::config::Config;
use crate::data::file::read_file;
use crate::deploy::TargetKind;
use crate::import::{self, ImportOptions};
use crate::run::{Error, PreparedRun, RunRequest, TopologySource, bring_up, recorded_layers};

#[derive(Debug, clap::Args)]
#[command(
    long_about = "Begin a run with weights that were trained elsewhere\n\n\
    The file is in safetensors format or an npz file of NumPy, and has the tensors that `export` writes: \
    `<layer>/kernel` and `<layer>/bias`, shaped as in Keras ([fan_in, units]; of a convolution [height, \
    width, channels, filters]; after `flatten` in the order of Keras), and `<name>/gamma` and so on of a \
    batch normalization; or those of PyTorch, as `export --layout torch` writes them, which are known by their \
    names: `0.weight` ([units, fan_in]; of a convolution [filters, channels, height, width]) and so on, numbered \
    as in a torch.nn.Sequential of the same layers, or with the names of the layers (`conv1.weight`). Numbers \
    of 16 or 64 bits are converted. The run is at epoch 0 and \
    predicts as the network did that the weights are from. With `--target docker` or `ecs` its containers \
    come up and train it on.",
    after_help = "Examples:\n  \
    cuttlefish import keras.safetensors --into topology/lenet5.yaml\n  \
    cuttlefish import torch.safetensors --into topology/lenet5.yaml --layout torch\n  \
    cuttlefish predict lenet5 --input t10k-images-idx3-ubyte.gz\n  \
    cuttlefish train --resume lenet5\n  \
    cuttlefish import keras.safetensors --into topology/lenet5.yaml --target docker"
)]
pub struct Args {
    /// The weights
    #[arg(value_name = "FILE")]
    weights: PathBuf,
    /// The topology file of the network that they are for
    #[arg(long, value_name = "TOPOLOGY")]
    into: PathBuf,
    /// The program whose names and shapes the tensors have; told by the names by default
    #[arg(long, value_enum)]
    layout: Option<LayoutArg>,
    /// Leave out tensors that the network has no place for
    #[arg(long)]
    ignore_extra: bool,
    /// Replace a run of the same name
    #[arg(long)]
    overwrite: bool,
    /// Where the actors live
    #[arg(long, value_enum, default_value_t = TargetArg::Local)]
    target: TargetArg,
    #[command(flatten)]
    file_args: FileArgs,
    #[command(flatten)]
    services: ServiceArgs,
    #[command(flatten)]
    ecs: EcsArgs,
}

pub async fn run(args: &Args, config: &Config) -> Result<Exit, Failure> {
    let path = args.weights.display();
    let refused = |problem: String| Error::Weights { problem };
    let file = read_file(&args.weights).map_err(|error| refused(format!("failed to {error}")))?;
    let failed = |error| refused(format!("`{path}`: failed to {error}"));
    let tensors = import::read(&file).map_err(failed)?;
    drop(file);
    let target = TargetKind::from(args.target);
    let overrides = args.file_args.overrides();
    let request = RunRequest {
        topology: TopologySource::File(&args.into),
        overrides: &overrides,
        target,
        overwrite: args.overwrite,
    };
    let prepared = PreparedRun::from_topology(&request, config).await?;
    let record = &prepared.workload.record;
    let layers = recorded_layers(prepared.dir.name(), record)?;
    let table_note = import::table_note(record.rows.encoder.as_ref(), &tensors);
    let import_options = ImportOptions {
        layout: args.layout.map(Into::into),
        ignore_extra: args.ignore_extra,
    };
    let mut notes = Vec::new();
    let prepared = prepared.with_weights(|graph| {
        let imported = import::import(graph, &layers, &tensors, import_options);
        let imported = imported.map_err(failed)?;
        notes = imported.notes;
        Ok(imported.states)
    })?;
    for note in notes.into_iter().chain(table_note) {
        tell(format_args!("note: {note}"));
    }
    let options = options(target, false, &args.services, &args.ecs, config)?;
    let monitor = Screen::listening(false, target)?;
    let up = bring_up(prepared, options, &monitor).await?;
    show_changes(&up, &monitor);
    if target == TargetKind::Local {
        let run = up.run.name();
        tell(format_args!(
            "run {run} begins with the weights of {path} (`cuttlefish train --resume {run}` trains it)"
        ));
    }
    Ok(Exit::Ok)
}
