//! `import`: a run that begins with weights from elsewhere.

use std::path::PathBuf;

use super::train::{self, Target};
use super::{Exit, Failure, FileArgs, services::ServiceArgs, tell, up};
use crate::config::Config;
use crate::import;
use crate::store::Store as _;

#[derive(Debug, clap::Args)]
#[command(
    long_about = "Begin a run with weights that were trained elsewhere\n\n\
    The file is in safetensors format and has the tensors that `export` writes: \
    `<layer>/kernel` and `<layer>/bias`, shaped as in Keras ([fan_in, units]; of a convolution [height, \
    width, channels, filters]; after `flatten` in the order of Keras), and `<name>/gamma` and so on of a \
    batch normalization. The run is at epoch 0 and \
    predicts as the network did that the weights are from. With `--target docker` its containers come \
    up and train it on.",
    after_help = "Examples:\n  \
    cuttlefish import keras.safetensors --into topology/lenet5.yaml\n  \
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
    /// Replace a run of the same name
    #[arg(long)]
    overwrite: bool,
    /// Where the actors live
    #[arg(long, value_enum, default_value_t = Target::Local)]
    target: Target,
    #[command(flatten)]
    file_args: FileArgs,
    #[command(flatten)]
    services: ServiceArgs,
}

pub fn run(args: &Args, config: &Config) -> Result<Exit, Failure> {
    let path = args.weights.display();
    let file = std::fs::read(&args.weights).map_err(|error| {
        Failure::new(Exit::Data, format_args!("failed to read `{path}`: {error}"))
    })?;
    let refused = |error: import::Error| {
        Failure::new(Exit::Data, format_args!("`{path}`: failed to {error}"))
    };
    if args.target == Target::Docker {
        let (file_args, services) = (&args.file_args, &args.services);
        return up::import(
            &args.into,
            file_args,
            args.overwrite,
            services,
            config,
            |graph| import::states(graph, &file).map_err(refused),
        );
    }
    let mut states = Vec::new();
    let fits = |graph: &_| {
        states = import::states(graph, &file).map_err(refused)?;
        Ok(())
    };
    let prepared = train::prepare_new(&args.into, &args.file_args, args.overwrite, config, fits)?;
    super::block_on(async {
        let store = prepared.run.store().await?;
        // The record last: without it there is no run yet.
        import::begin_with(&store, &prepared.graph, &states)
            .await
            .map_err(refused)?;
        store.put_record(&prepared.record).await?;
        let run = prepared.run.name();
        tell(format_args!(
            "run {run} begins with the weights of {path} (`cuttlefish train --resume {run}` trains it)"
        ));
        Ok(Exit::Ok)
    })
}
