//! Cost of a run on ECS: money, requests, and the least time that AWS's rates allow. Pure.

use std::ops::Range;

use cuttlefish_core::topology::excerpt::Excerpt;
use serde::Serialize;

use super::desired::{Service, UNITS_PER_CPU};

/// On-demand price of Fargate, Linux on x86, N. Virginia, in US dollars: of a vCPU and of a GB, an hour.
/// Other regions and architectures differ; storage, broker, table, endpoints and logs come on top.
const PRICE: (f64, f64) = (0.04048, 0.004445);
/// Month of these prices.
const PRICES_OF: &str = "March 2026";

/// Tasks that Fargate launches at once, and a second from then on ("AWS Fargate throttling quotas").
const LAUNCH_BURST: u32 = 100;
/// See [`LAUNCH_BURST`].
const LAUNCH_RATE: f64 = 20.0;
/// Tasks that ECS launches for one service in a minute ("Amazon ECS service quotas").
const LAUNCHES_PER_SERVICE: f64 = 500.0;
/// Tasks of a service, at most ("Amazon ECS service quotas").
const TASKS_PER_SERVICE: u32 = 5000;
/// Services of a cluster, at most ("Amazon ECS service quotas").
const SERVICES_PER_CLUSTER: u32 = 5000;

/// vCPUs of Fargate tasks in an account that has not asked for more ("AWS Fargate service quotas").
const VCPUS: u32 = 6;

/// A quota of AWS beside what a run needs of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Quota {
    /// Resource that is limited, in words.
    pub what: String,
    /// Amount that the run needs.
    pub needed: u32,
    /// Amount that AWS gives unless it is asked for more.
    pub given: u32,
}

impl Quota {
    /// True if the quota is enough.
    pub fn holds(&self) -> bool {
        self.needed <= self.given
    }
}

/// Cost of a run on ECS.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EcsCost {
    /// Tasks that are alive.
    pub tasks: u32,
    /// vCPUs of all tasks.
    pub vcpus: f64,
    /// Memory of all tasks, in GiB.
    pub memory_gib: f64,
    /// US dollars an hour, on Fargate.
    pub dollars_per_hour: f64,
    /// Month of the prices.
    pub prices_of: &'static str,
    /// Requests of `up` that change something: a task definition and a service each.
    pub requests: u32,
    /// The least seconds until all tasks are launched, on Fargate.
    pub launch_seconds: f64,
    /// Quotas.
    pub quotas: Vec<Quota>,
}

/// Cost of these services.
pub fn cost(services: &[Service]) -> EcsCost {
    let tasks: u32 = services.iter().map(|service| service.count).sum();
    let sum = |of: fn(&Service) -> f64| {
        let each = services.iter().map(|one| f64::from(one.count) * of(one));
        each.sum::<f64>()
    };
    let vcpus = sum(|one| f64::from(one.definition.cpu) / UNITS_PER_CPU);
    let memory = sum(|one| f64::from(one.definition.memory) / 1024.0);
    let slowest = services
        .iter()
        .map(|one| f64::from(one.count) / LAUNCHES_PER_SERVICE * 60.0);
    let all = f64::from(tasks.saturating_sub(LAUNCH_BURST)) / LAUNCH_RATE;
    let quotas = services.iter().map(|one| Quota {
        what: format!("tasks of service {}", one.name),
        needed: one.count,
        given: TASKS_PER_SERVICE,
    });
    let all_services = Quota {
        what: "services of the cluster".to_owned(),
        needed: services.len() as u32,
        given: SERVICES_PER_CLUSTER,
    };
    let processors = Quota {
        what: "vCPUs of Fargate tasks in a new account".to_owned(),
        needed: vcpus.ceil() as u32,
        given: VCPUS,
    };
    EcsCost {
        tasks,
        vcpus,
        memory_gib: memory,
        dollars_per_hour: vcpus * PRICE.0 + memory * PRICE.1,
        prices_of: PRICES_OF,
        requests: 2 * services.len() as u32,
        launch_seconds: slowest.fold(all, f64::max),
        quotas: quotas.chain([all_services, processors]).collect(),
    }
}

impl EcsCost {
    /// Text of the cost for people. Prices and rates are Fargate's.
    pub fn text(&self, services: &[Service]) -> String {
        let mut text = String::from("\nservices on ECS\n");
        let one = |service: usize| {
            let Service {
                name,
                count,
                definition,
                ..
            } = &services[service];
            format!(
                "  {name}: {count} x {} CPU units, {} MiB ({})\n",
                definition.cpu,
                definition.memory,
                definition.capacity.word(),
            )
        };
        let several = |between: Range<usize>| {
            let tasks: u32 = services[between.clone()].iter().map(|one| one.count).sum();
            format!("  ... {} more: {tasks} tasks\n", between.len())
        };
        text += &Excerpt::of(services.len()).rows(one, several).concat();
        text += &format!(
            "\n{} tasks, {:.2} vCPU, {:.2} GB: {:.2} US dollars an hour on Fargate (on demand, Linux x86, \
             N. Virginia, prices of {}; broker, table, endpoints and logs not counted)\n",
            self.tasks, self.vcpus, self.memory_gib, self.dollars_per_hour, self.prices_of
        );
        text += &format!(
            "{} requests bring it up; Fargate's rates let all tasks be launched within {:.0} s at the \
             earliest\n",
            self.requests, self.launch_seconds
        );
        for quota in self.quotas.iter().filter(|quota| !quota.holds()) {
            text += &format!(
                "beyond AWS's default: {}: {} needed, {} given (ask AWS for more, or group neurons with \
                 neurons_per_unit)\n",
                quota.what, quota.needed, quota.given
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::super::desired::tests::services_of;
    use super::*;

    #[test]
    fn a_thousand_neurons_take_few_requests_and_as_long_as_fargate_does() {
        let services = services_of(1000);
        let cost = cost(&services);
        assert_eq!(cost.tasks, 1000 + 10 + 1 + 1);
        // One definition a kind, never one a neuron.
        assert_eq!(cost.requests, 8);
        // 500 a minute of one service.
        assert_eq!(cost.launch_seconds, 120.0);
        let exceeded: Vec<&Quota> = cost.quotas.iter().filter(|quota| !quota.holds()).collect();
        assert_eq!(exceeded.len(), 1, "{exceeded:?}");
        assert_eq!(
            exceeded[0].needed, 255,
            "quarters of a vCPU, and two whole ones"
        );
        let text = cost.text(&services);
        assert!(text.contains("8 requests"), "{text}");
    }

    #[test]
    fn a_layer_larger_than_a_service_can_be_is_said() {
        let services = services_of(5001);
        let text = cost(&services).text(&services);
        assert!(
            text.contains("default: tasks of service cf_wide_unit_hidden: 5001"),
            "{text}"
        );
    }
}
