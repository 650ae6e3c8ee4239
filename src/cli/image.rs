//! `image`: the image of the containers.

use std::path::PathBuf;

use super::screen::Screen;
use super::{Exit, Failure, print};
use crate::deploy::docker::Docker;
use crate::deploy::docker::up::neuron_image;
use crate::deploy::{self, TargetKind};
use crate::run::Error;

#[derive(Debug, clap::Subcommand)]
pub enum ImageCommand {
    /// Build the neuron image, without a base image and without a registry
    #[command(
        after_help = "Prints the image's name. `up` does the same by itself; for a cluster, push the \
        image to its registry.\n\nExamples:\n  cuttlefish image build\n  \
        docker tag $(cuttlefish image build) REGISTRY/IMAGE:TAG"
    )]
    Build {
        /// The program in it [default: cuttlefish-neuron beside this program]
        #[arg(long, value_name = "FILE")]
        program: Option<PathBuf>,
    },
}

pub async fn run(command: &ImageCommand) -> Result<Exit, Failure> {
    let ImageCommand::Build { program } = command;
    let monitor = Screen::monitor(TargetKind::Docker);
    let built = async {
        let docker = Docker::connect().await?;
        neuron_image(&docker, None, program.as_deref(), &monitor).await
    };
    let image = built
        .await
        .map_err(|error: deploy::Error| Error::from(error))?;
    print(&format!("{}\n", image.name))?;
    Ok(Exit::Ok)
}
