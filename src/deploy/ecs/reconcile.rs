//! Steps from the services that are there to those that should be. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::desired::{Service, TaskDefinition, TaskNetwork};
use super::stack::Capacity;

/// A service as ECS describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedService {
    /// Its name.
    pub name: String,
    /// True while ECS is removing it.
    pub is_leaving: bool,
    /// Tasks that it should have.
    pub count: u32,
    /// Tasks that run.
    pub running: u32,
    /// ARN of its task definition.
    pub definition_arn: String,
    /// Task definition; None if it is not of the form that we write.
    pub definition: Option<TaskDefinition>,
    /// Network of its tasks.
    pub network: Option<TaskNetwork>,
    /// Capacity that runs its tasks; None where that is left to capacity providers.
    pub launch_type: Option<Capacity>,
    /// Owner, by its tag.
    pub owner: Option<String>,
}

/// Step towards the services that should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceAction {
    /// Make a service, with a new revision of its task definition.
    Create(Box<Service>),
    /// Change the number of its tasks, and what else `changes` says.
    Update {
        /// Service as it should be.
        service: Box<Service>,
        /// Parts that change beside the number of tasks.
        changes: ServiceChanges,
        /// Differences, for people.
        why: String,
    },
    /// Remove it and make it anew: ECS does not change one launch type into another.
    Replace {
        /// Service as it should be.
        service: Box<Service>,
        /// Differences, for people.
        why: String,
    },
    /// Remove a service that should not be.
    Delete(String),
}

/// Parts of a service that change. Each makes ECS start its tasks anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceChanges {
    /// Its task definition, by a new revision.
    pub definition: bool,
    /// Network of its tasks.
    pub network: bool,
}

impl ServiceAction {
    /// The service that it is about.
    pub fn service(&self) -> &str {
        match self {
            Self::Create(service)
            | Self::Update { service, .. }
            | Self::Replace { service, .. } => &service.name,
            Self::Delete(name) => name,
        }
    }

    /// The step in words.
    pub fn sentence(&self) -> String {
        match self {
            Self::Create(service) => format!("create {}: {} tasks", service.name, service.count),
            Self::Update { service, why, .. } => format!("update {}: {why}", service.name),
            Self::Replace { service, why } => format!("replace {}: {why}", service.name),
            Self::Delete(name) => format!("delete {name}"),
        }
    }
}

/// The steps from `observed` to `desired`; removals first.
pub fn reconcile(desired: &[Service], observed: &[ObservedService]) -> Vec<ServiceAction> {
    let mut left: BTreeMap<&str, &ObservedService> = observed
        .iter()
        .map(|service| (service.name.as_str(), service))
        .collect();
    let mut steps = Vec::new();
    for service in desired {
        let Some(namesake) = left.remove(service.name.as_str()) else {
            steps.push(ServiceAction::Create(Box::new(service.clone())));
            continue;
        };
        steps.extend(step(service, namesake));
    }
    let deletions = left
        .into_keys()
        .map(|name| ServiceAction::Delete(name.to_owned()));
    deletions.chain(steps).collect()
}

/// Step for a service that is there; None if it is as it should be.
fn step(service: &Service, observed: &ObservedService) -> Option<ServiceAction> {
    let (desired, boxed) = (service.definition.capacity, Box::new(service.clone()));
    if observed.launch_type != Some(desired) {
        let other = observed.launch_type.map(Capacity::word);
        let other = other.unwrap_or("capacity providers");
        let why = format!("launch type {} instead of {other}", desired.word());
        return Some(ServiceAction::Replace {
            service: boxed,
            why,
        });
    }
    let mut why = Vec::new();
    if observed.count != service.count {
        why.push(format!(
            "{} tasks instead of {}",
            service.count, observed.count
        ));
    }
    let changes = ServiceChanges {
        definition: observed.definition.as_ref() != Some(&service.definition),
        network: observed.network.as_ref() != Some(&service.network),
    };
    if changes.definition {
        why.push(match &observed.definition {
            Some(observed) => definition_difference(observed, &service.definition),
            None => format!("task definition {} is not ours", observed.definition_arn),
        });
    }
    if changes.network {
        why.push(match &observed.network {
            Some(observed) => network_difference(observed, &service.network),
            None => "network".to_owned(),
        });
    }
    (!why.is_empty()).then(|| ServiceAction::Update {
        service: boxed,
        changes,
        why: why.join(", "),
    })
}

/// Parts of a network that differ, in words.
fn network_difference(observed: &TaskNetwork, desired: &TaskNetwork) -> String {
    let list = |names: &BTreeSet<String>| Vec::from_iter(names.iter().cloned()).join(" ");
    let part = |what: &str, observed: &BTreeSet<String>, desired: &BTreeSet<String>| {
        let (desired_list, observed_list) = (list(desired), list(observed));
        (observed != desired).then(|| format!("{what} {desired_list} instead of {observed_list}"))
    };
    let address = |is_public: bool| if is_public { "public" } else { "private" };
    let parts = [
        part("subnets", &observed.subnets, &desired.subnets),
        part(
            "security groups",
            &observed.security_groups,
            &desired.security_groups,
        ),
        (observed.is_public != desired.is_public).then(|| {
            let (desired, observed) = (address(desired.is_public), address(observed.is_public));
            format!("{desired} addresses instead of {observed} ones")
        }),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Parts of a task definition that differ, in words.
fn definition_difference(observed: &TaskDefinition, desired: &TaskDefinition) -> String {
    let part = |name: &str, differs: bool| differs.then(|| name.to_owned());
    let parts = [
        (observed.cpu != desired.cpu)
            .then(|| format!("cpu {} instead of {}", desired.cpu, observed.cpu)),
        (observed.memory != desired.memory).then(|| {
            format!(
                "memory {} MiB instead of {}",
                desired.memory, observed.memory
            )
        }),
        part("image", observed.image != desired.image),
        part("environment", observed.environment != desired.environment),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        "task definition".to_owned()
    } else {
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(subnet: &str) -> TaskNetwork {
        TaskNetwork {
            subnets: BTreeSet::from(["subnet-1".to_owned(), subnet.to_owned()]),
            security_groups: BTreeSet::from(["sg-1".to_owned()]),
            is_public: false,
        }
    }

    fn service(name: &str, count: u32, memory: u32) -> Service {
        Service {
            name: name.to_owned(),
            count,
            definition: TaskDefinition {
                family: name.to_owned(),
                cpu: 256,
                memory,
                image: "image:1".to_owned(),
                command: Vec::new(),
                environment: Vec::new(),
                secrets: Vec::new(),
                user: String::new(),
                task_role: String::new(),
                execution_role: String::new(),
                log_group: String::new(),
                region: String::new(),
                capacity: Capacity::Fargate,
            },
            network: network("subnet-2"),
        }
    }

    fn observed(service: &Service) -> ObservedService {
        ObservedService {
            name: service.name.clone(),
            is_leaving: false,
            count: service.count,
            running: service.count,
            definition_arn: format!("{}:1", service.name),
            definition: Some(service.definition.clone()),
            network: Some(service.network.clone()),
            launch_type: Some(service.definition.capacity),
            owner: None,
        }
    }

    #[test]
    fn what_is_as_it_should_be_stays() {
        let desired = [service("a", 1, 512), service("b", 3, 512)];
        let observed: Vec<ObservedService> = desired.iter().map(observed).collect();
        assert_eq!(reconcile(&desired, &observed), []);
    }

    #[test]
    fn only_what_differs_is_changed() {
        let desired = [
            service("larger", 3, 1024),
            service("missing", 1, 512),
            service("scaled", 3, 512),
            service("strange", 1, 512),
        ];
        let observed = [
            observed(&service("gone", 1, 512)),
            observed(&service("larger", 3, 512)),
            observed(&service("scaled", 2, 512)),
            ObservedService {
                definition: None,
                ..observed(&desired[3])
            },
        ];
        let actions = reconcile(&desired, &observed);
        let sentences: Vec<String> = actions.iter().map(ServiceAction::sentence).collect();
        assert_eq!(
            sentences,
            [
                "delete gone",
                "update larger: memory 1024 MiB instead of 512",
                "create missing: 1 tasks",
                "update scaled: 3 tasks instead of 2",
                "update strange: task definition strange:1 is not ours",
            ]
        );
        let revisions = actions.iter().filter(|action| {
            matches!(
                action,
                ServiceAction::Create(_)
                    | ServiceAction::Update {
                        changes: ServiceChanges {
                            definition: true,
                            ..
                        },
                        ..
                    }
            )
        });
        assert_eq!(revisions.count(), 3);
    }
    #[test]
    fn a_service_that_is_elsewhere_is_brought_back_and_one_of_another_launch_type_replaced() {
        let desired = ["moved", "guarded", "public", "bare", "on-ec2", "provided"];
        let desired = desired.map(|name| service(name, 1, 512));
        let mut observed = desired.clone().map(|service| observed(&service));
        let [moved, guarded, public, bare, on_ec2, provided] = &mut observed;
        moved.network = Some(network("subnet-3"));
        guarded.network.as_mut().unwrap().security_groups = BTreeSet::new();
        public.network.as_mut().unwrap().is_public = true;
        bare.network = None;
        on_ec2.launch_type = Some(Capacity::Ec2);
        provided.launch_type = None;
        let actions = reconcile(&desired, &observed);
        let sentences: Vec<String> = actions.iter().map(ServiceAction::sentence).collect();
        assert_eq!(
            sentences,
            [
                "update moved: subnets subnet-1 subnet-2 instead of subnet-1 subnet-3",
                "update guarded: security groups sg-1 instead of ",
                "update public: private addresses instead of public ones",
                "update bare: network",
                "replace on-ec2: launch type FARGATE instead of EC2",
                "replace provided: launch type FARGATE instead of capacity providers",
            ]
        );
        let only_network = ServiceChanges {
            definition: false,
            network: true,
        };
        for action in &actions[..4] {
            assert!(
                matches!(action, ServiceAction::Update { changes, .. } if *changes == only_network)
            );
        }
    }
}
