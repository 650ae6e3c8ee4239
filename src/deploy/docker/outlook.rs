//! Cost of a run beside what its host and broker can carry, looked at before anything is made.

use cuttlefish_core::topology::graph::Graph;
use cuttlefish_core::topology::{DataShape, Plan};
use serde_json::Value;

use super::cost::Cost;
use super::limits::{BrokerRoom, Host, Limit, Room, Standing, limits};
use super::up::Services;
use super::{Deployment, Docker};
use crate::deploy::{Error, Workload};
use crate::monitor::Monitor;
use crate::transport::amqp::management::Management;

/// What a run would cost where it is to run.
pub struct Outlook {
    /// What it costs.
    pub cost: Cost,
    /// What the host has; none where no daemon is.
    pub host: Option<Host>,
    /// The limits that it meets.
    pub limits: Vec<Limit>,
}

impl Outlook {
    /// Looks at the host, and at a broker that was there. `before` is how the run is deployed.
    ///
    /// # Errors
    /// When the daemon fails to answer.
    pub async fn new(
        docker: Option<&Docker>,
        graph: &Graph,
        plan: &Plan,
        services: &Services,
        before: Option<&Deployment>,
    ) -> Result<Self, Error> {
        let cost = Cost::new(graph, plan, services.layout(before));
        let host = match docker {
            Some(docker) => Some(docker.host(&graph.name).await?),
            None => None,
        };
        let broker = services.broker.as_ref().and_then(|(broker, base)| {
            let management = Management::new(base.as_deref(), broker);
            broker_room(&management.get("/api/nodes").ok()?)
        });
        Ok(Self {
            limits: limits(&cost, host.as_ref(), broker.as_ref()),
            cost,
            host,
        })
    }

    /// The limits that are judged so.
    pub fn that(&self, standing: Standing) -> impl Iterator<Item = &Limit> {
        let limits = self.limits.iter();
        limits.filter(move |limit| limit.standing == standing)
    }

    /// Says which limits people should know of.
    pub(super) fn note(&self, monitor: &Monitor) {
        for limit in self.that(Standing::Noted) {
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
    services: &Services,
    before: Option<&Deployment>,
) -> Result<Outlook, Error> {
    let graph = &workload.graph;
    let shape = DataShape::from(&*workload.dataset);
    let plan = Plan::new(graph, &shape, true, services.feed(before));
    let outlook = Outlook::new(Some(docker), graph, &plan, services, before).await?;
    let limits: String = outlook
        .that(Standing::Exceeded)
        .map(|limit| format!("\n  {limit}"))
        .collect();
    if limits.is_empty() {
        return Ok(outlook);
    }
    let host = outlook.host.as_ref();
    Err(Error::TooLarge {
        run: graph.name.clone(),
        host: host
            .map_or("this host", |host| host.name.as_str())
            .to_owned(),
        limits,
    })
}

/// What the first node of a broker has, as its management API says.
fn broker_room(nodes: &Value) -> Option<BrokerRoom> {
    let node = nodes.get(0)?;
    let room = |most: &str, used: &str| {
        Some(Room {
            most: node[most].as_u64()?,
            // RabbitMQ has ceased to count some of what is used.
            used: node[used].as_u64().unwrap_or(0),
        })
    };
    Some(BrokerRoom {
        files: room("fd_total", "fd_used")?,
        memory: room("mem_limit", "mem_used")?,
        processes: room("proc_total", "proc_used")?,
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
        let room = broker_room(&node).expect("everything is there");
        assert_eq!(
            room.files,
            Room {
                most: 1024,
                used: 0
            }
        );
        assert_eq!(room.processes.used, 400);
        assert_eq!(broker_room(&json!([])), None);
        assert_eq!(broker_room(&json!({"error": "not_authorised"})), None);
    }
}
