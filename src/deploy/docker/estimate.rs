//! Cost of a run beside what its host and broker can carry, looked at before anything is made.

use cuttlefish_core::topology::graph::Graph;
use cuttlefish_core::topology::{DataShape, Plan};
use serde_json::Value;

use super::cost::Cost;
use super::limits::{BrokerLimits, HostLimits, Limit, Standing, Usage, limits};
use super::options::DockerOptions;
use super::{Deployment, Docker};
use crate::deploy::{Error, Workload};
use crate::monitor::Monitor;
use crate::transport::amqp::management::Management;

/// Cost of a run beside the limits of its host and broker.
pub struct DockerEstimate {
    /// Cost of the run.
    pub cost: Cost,
    /// Limits of the host; None where no daemon is.
    pub host: Option<HostLimits>,
    /// The limits that it meets.
    pub limits: Vec<Limit>,
}

impl DockerEstimate {
    /// Looks at the host, and at a broker that was there. `before` is the run's present deployment.
    ///
    /// # Errors
    /// When the daemon fails to answer.
    pub async fn new(
        docker: Option<&Docker>,
        graph: &Graph,
        plan: &Plan,
        options: &DockerOptions,
        before: Option<&Deployment>,
    ) -> Result<Self, Error> {
        let cost = Cost::new(graph, plan, options.layout(before));
        let host = match docker {
            Some(docker) => Some(docker.host(&graph.name).await?),
            None => None,
        };
        let broker = options.broker.as_ref().and_then(|(broker, base)| {
            let management = Management::new(base.as_deref(), broker);
            broker_limits(&management.get("/api/nodes").ok()?)
        });
        Ok(Self {
            limits: limits(&cost, host.as_ref(), broker.as_ref()),
            cost,
            host,
        })
    }

    /// Limits of that standing.
    pub fn limits_with(&self, standing: Standing) -> impl Iterator<Item = &Limit> {
        let limits = self.limits.iter();
        limits.filter(move |limit| limit.standing == standing)
    }

    /// Says which limits people should know of.
    pub(super) fn note(&self, monitor: &Monitor) {
        for limit in self.limits_with(Standing::Noted) {
            monitor.note(format!("note: {limit}"));
        }
    }
}

/// Refuses a workload that the host or the broker cannot carry. Changes nothing.
///
/// # Errors
/// Names every limit that does not hold.
pub(super) async fn check(
    docker: &Docker,
    workload: &Workload,
    options: &DockerOptions,
    before: Option<&Deployment>,
) -> Result<DockerEstimate, Error> {
    let graph = &workload.graph;
    let shape = DataShape::from(&*workload.dataset);
    let plan = Plan::new(graph, &shape, true, options.feed(before));
    let estimate = DockerEstimate::new(Some(docker), graph, &plan, options, before).await?;
    let limits: String = estimate
        .limits_with(Standing::Exceeded)
        .map(|limit| format!("\n  {limit}"))
        .collect();
    if limits.is_empty() {
        return Ok(estimate);
    }
    let host = estimate.host.as_ref();
    Err(Error::TooLarge {
        run: graph.name.clone(),
        host: host
            .map_or("this host", |host| host.name.as_str())
            .to_owned(),
        limits,
    })
}

/// Limits of the first node of a broker, as its management API says.
fn broker_limits(nodes: &Value) -> Option<BrokerLimits> {
    let node = nodes.get(0)?;
    let usage = |most: &str, used: &str| {
        Some(Usage {
            most: node[most].as_u64()?,
            // RabbitMQ has ceased to count some of what is used.
            used: node[used].as_u64().unwrap_or(0),
        })
    };
    Some(BrokerLimits {
        open_files: usage("fd_total", "fd_used")?,
        memory: usage("mem_limit", "mem_used")?,
        erlang_processes: usage("proc_total", "proc_used")?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_brokers_node_says_what_it_has() {
        let node = json!([{
            "name": "rabbit@host", "fd_total": 1024, "mem_limit": 2_000_000_000, "mem_used": 5,
            "proc_total": 1_048_576, "proc_used": 400,
        }]);
        let usage = broker_limits(&node).expect("everything is there");
        assert_eq!(
            usage.open_files,
            Usage {
                most: 1024,
                used: 0
            }
        );
        assert_eq!(usage.erlang_processes.used, 400);
        assert_eq!(broker_limits(&json!([])), None);
        assert_eq!(broker_limits(&json!({"error": "not_authorised"})), None);
    }
}
