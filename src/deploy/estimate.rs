//! Estimates: what a workload expands to on a target, and its cost there. Changes nothing, and needs no run.

use cuttlefish_core::data::Feed;
use cuttlefish_core::topology::{DataShape, Plan};

use super::docker::estimate::DockerEstimate;
use super::docker::{self, Docker, DockerOptions};
use super::ecs::cost::EcsCost;
use super::ecs::desired::{EcsSite, Service};
use super::ecs::stack::Stack;
use super::{Error, TargetKind, Workload, ecs};

/// Cost of a run on its target.
pub enum Estimate {
    /// This process: the plan says it all.
    Local,
    /// A Docker host, and why its limits are unknown if they are.
    Docker(Box<DockerEstimate>, Option<String>),
    /// Amazon ECS, by the services of the run.
    Ecs(Vec<Service>, EcsCost),
}

/// Expands a workload for a target, and estimates its cost. `before` is how the run is on Docker, if it is.
///
/// # Errors
/// When the target cannot carry it out at all, or Docker fails to answer.
pub async fn estimate(
    target: TargetKind,
    workload: &Workload,
    options: &DockerOptions,
    before: Option<&docker::Deployment>,
) -> Result<(Plan, Estimate), Error> {
    let shape = DataShape::from(&*workload.dataset);
    let graph = &workload.graph;
    let feed = match target {
        // Tasks share no disk.
        TargetKind::Ecs => Feed::Broadcast,
        TargetKind::Local | TargetKind::Docker => options.feed(before),
    };
    let plan = Plan::new(graph, &shape, target != TargetKind::Local, feed);
    let estimate = match target {
        TargetKind::Local => Estimate::Local,
        TargetKind::Docker => {
            let (docker, problem) = match Docker::connect().await {
                Ok(docker) => (Some(docker), None),
                Err(error) => (None, Some(format!("failed to {error}"))),
            };
            let estimate = DockerEstimate::new(docker.as_ref(), graph, &plan, options, before);
            Estimate::Docker(Box::new(estimate.await?), problem)
        }
        TargetKind::Ecs => {
            // A stack that need not be there.
            let stack = Stack::planned();
            let site = EcsSite {
                stack: &stack,
                image: "",
                region: "",
                endpoint: None,
                data_bytes: shape.bytes(),
            };
            let services = ecs::desired::services(graph, &site).map_err(Error::Unusable)?;
            let cost = ecs::cost::cost(&services);
            Estimate::Ecs(services, cost)
        }
    };
    Ok((plan, estimate))
}
