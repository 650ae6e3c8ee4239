//! What has to be done so that the services that are there become those that should be. Pure.

use std::collections::BTreeMap;

use super::desired::{Service, TaskDefinition};

/// A service as ECS describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Its name.
    pub name: String,
    /// Whether ECS is removing it.
    pub is_leaving: bool,
    /// Tasks that it should have.
    pub count: u32,
    /// Tasks that run.
    pub running: u32,
    /// ARN of its task definition.
    pub definition_arn: String,
    /// What that says, if it is of a form that we write.
    pub definition: Option<TaskDefinition>,
    /// Whose it is, by its tag.
    pub owner: Option<String>,
}

/// One step towards what should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make a service, with a new revision of its task definition.
    Create(Box<Service>),
    /// Change the number of its tasks, and its task definition where `definition` says so.
    Update {
        /// What should be.
        service: Box<Service>,
        /// Whether a new revision is needed.
        definition: bool,
        /// What differs, for people.
        why: String,
    },
    /// Remove a service that should not be.
    Delete(String),
}

impl Action {
    /// The service that it is about.
    pub fn service(&self) -> &str {
        match self {
            Self::Create(service) | Self::Update { service, .. } => &service.name,
            Self::Delete(name) => name,
        }
    }

    /// What it does, for people.
    pub fn told(&self) -> String {
        match self {
            Self::Create(service) => format!("create {}: {} tasks", service.name, service.count),
            Self::Update { service, why, .. } => format!("update {}: {why}", service.name),
            Self::Delete(name) => format!("delete {name}"),
        }
    }
}

/// The steps from `observed` to `desired`; removals first.
pub fn reconcile(desired: &[Service], observed: &[Observed]) -> Vec<Action> {
    let mut left: BTreeMap<&str, &Observed> = observed
        .iter()
        .map(|found| (found.name.as_str(), found))
        .collect();
    let mut steps = Vec::new();
    for service in desired {
        let Some(found) = left.remove(service.name.as_str()) else {
            steps.push(Action::Create(Box::new(service.clone())));
            continue;
        };
        let mut why = Vec::new();
        if found.count != service.count {
            why.push(format!(
                "{} tasks instead of {}",
                service.count, found.count
            ));
        }
        let definition = found.definition.as_ref() != Some(&service.definition);
        if definition {
            why.push(match &found.definition {
                Some(found) => difference(found, &service.definition),
                None => format!("task definition {} is not ours", found.definition_arn),
            });
        }
        if !why.is_empty() {
            steps.push(Action::Update {
                service: Box::new(service.clone()),
                definition,
                why: why.join(", "),
            });
        }
    }
    let deletions = left.into_keys().map(|name| Action::Delete(name.to_owned()));
    deletions.chain(steps).collect()
}

/// Which parts of a task definition differ.
fn difference(found: &TaskDefinition, wanted: &TaskDefinition) -> String {
    let part = |name: &str, differs: bool| differs.then(|| name.to_owned());
    let parts = [
        (found.cpu != wanted.cpu).then(|| format!("cpu {} instead of {}", wanted.cpu, found.cpu)),
        (found.memory != wanted.memory)
            .then(|| format!("memory {} MiB instead of {}", wanted.memory, found.memory)),
        part("image", found.image != wanted.image),
        part("environment", found.environment != wanted.environment),
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
    use super::super::stack::Capacity;
    use super::*;

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
        }
    }

    fn observed(service: &Service) -> Observed {
        Observed {
            name: service.name.clone(),
            is_leaving: false,
            count: service.count,
            running: service.count,
            definition_arn: format!("{}:1", service.name),
            definition: Some(service.definition.clone()),
            owner: None,
        }
    }

    #[test]
    fn what_is_as_it_should_be_stays() {
        let desired = [service("a", 1, 512), service("b", 3, 512)];
        let found: Vec<Observed> = desired.iter().map(observed).collect();
        assert_eq!(reconcile(&desired, &found), []);
    }

    #[test]
    fn only_what_differs_is_changed() {
        let desired = [
            service("larger", 3, 1024),
            service("missing", 1, 512),
            service("scaled", 3, 512),
            service("strange", 1, 512),
        ];
        let found = [
            observed(&service("gone", 1, 512)),
            observed(&service("larger", 3, 512)),
            observed(&service("scaled", 2, 512)),
            Observed {
                definition: None,
                ..observed(&desired[3])
            },
        ];
        let actions = reconcile(&desired, &found);
        let told: Vec<String> = actions.iter().map(Action::told).collect();
        assert_eq!(
            told,
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
                Action::Create(_)
                    | Action::Update {
                        definition: true,
                        ..
                    }
            )
        });
        assert_eq!(revisions.count(), 3);
    }
}
