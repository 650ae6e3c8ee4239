//! `render --to ecs`: what it takes instead of the options of others.

use std::path::Path;

use cuttlefish_core::data::Dataset;
use tokio::runtime::Handle;

use super::super::services::DataArg;
use super::super::{Exit, Failure};
use super::{Args, Platform};
use crate::config::Config;
use crate::deploy::ecs;
use crate::deploy::ecs::stack::Stack;
use crate::orchestrator::secrets;
use crate::runs::{EcsDeployment, Record, on_ecs};
use crate::store;

/// Whether the options are those of the platform.
///
/// # Errors
/// Names one that is not.
pub fn check_options(args: &Args) -> Result<(), Failure> {
    let is_reference = matches!(args.data, Some(DataArg::Reference));
    let unfit = match args.to {
        Platform::Compose | Platform::Kubernetes => [
            (args.stack.is_some(), "--stack", "the run brings all along"),
            (
                args.stack_file.is_some(),
                "--stack-file",
                "the run brings all along",
            ),
            (false, "", ""),
        ],
        Platform::Ecs => [
            (
                args.broker_image.is_some(),
                "--broker-image",
                "the stack has a broker",
            ),
            (
                args.program.is_some(),
                "--program",
                "ECS takes an image from a registry: --image",
            ),
            (
                is_reference,
                "--data reference",
                "tasks share no disk: the trainer sends batches",
            ),
        ],
    };
    let given = unfit.iter().find(|(is_given, ..)| *is_given);
    given.map_or(Ok(()), |(_, option, why)| {
        let text = format_args!("{option} is not for `--to {}` ({why})", args.to.word());
        Err(Failure::new(Exit::Usage, text))
    })
}

/// How a new run of this record is to be there. Looks at the stack, and changes nothing.
/// Where this run was rendered before, it is the same run.
pub fn deployment(
    args: &Args,
    record: Record,
    dataset: &Dataset,
    place: &Path,
    config: &Config,
) -> Result<EcsDeployment, Failure> {
    let usage = |text: &str| Failure::new(Exit::Usage, text);
    let Some(image) = &args.image else {
        return Err(usage(
            "--to ecs needs the neuron image in a registry that ECS reaches (build it with `cuttlefish \
             image build`, push it, and name it with --image)",
        ));
    };
    let (stack, region) = stack(args, config)?;
    let owner = match rendered_before(place, &record) {
        Some(before) => before.owner,
        None => secrets::random()?,
    };
    Ok(EcsDeployment::new(
        owner,
        image.clone(),
        stack,
        region,
        config.services.dynamodb.clone(),
        record,
        dataset,
    ))
}

/// What is to be replaced, where that is a run of this name.
fn rendered_before(place: &Path, record: &Record) -> Option<EcsDeployment> {
    let text = std::fs::read_to_string(place.join(on_ecs::FILE)).ok()?;
    let before: EcsDeployment = serde_json::from_str(&text).ok()?;
    (before.record.topology.name == record.topology.name).then_some(before)
}

/// The stack, and its region.
fn stack(args: &Args, config: &Config) -> Result<(Stack, String), Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::new(Exit::Failed, format_args!("failed to {error}"))
    };
    if let Some(path) = &args.stack_file {
        let printed = std::fs::read_to_string(path)
            .map_err(|error| failed(&format_args!("read `{}`: {error}", path.display())))?;
        return Stack::described(&printed).map_err(|error| failed(&error));
    }
    let Some(name) = args.stack.as_ref().or(config.services.stack.as_ref()) else {
        return Err(Failure::new(
            Exit::Usage,
            "--to ecs needs the stack that infra/cloudformation/cuttlefish.yaml makes (name it with \
             --stack, or give what `aws cloudformation describe-stacks` prints of it with --stack-file)",
        ));
    };
    Handle::current().block_on(async {
        let stack = ecs::read_stack(name)
            .await
            .map_err(|error| failed(&error))?;
        Ok((stack, store::region_from_environment().await))
    })
}
