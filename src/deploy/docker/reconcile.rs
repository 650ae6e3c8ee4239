//! Steps from the containers that are there to those that should be. Pure.

use std::collections::HashMap;

use super::desired::{Container, Role};

/// A container as Docker lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedContainer {
    /// Container ID.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its name within the run.
    pub actor: String,
    /// Kind of container by its label; none for a label that is none of ours.
    pub role: Option<Role>,
    /// Fingerprint of what it was made from, by its label.
    pub fingerprint: String,
    /// `running`, `exited`, ...
    pub state: String,
    /// Status in Docker's words: `Up 3 minutes`.
    pub status: String,
    /// Ports in the container, and their ports on the host.
    pub ports: Vec<(u16, u16)>,
}

impl ObservedContainer {
    /// True if its process is there.
    pub fn is_running(&self) -> bool {
        matches!(self.state.as_str(), "running" | "restarting" | "paused")
    }
}

/// Step towards the containers that should be.
#[derive(Clone, Debug, PartialEq)]
pub enum ContainerAction {
    /// Make and start a container, instead of those with the given IDs.
    Create {
        /// Container to make.
        container: Box<Container>,
        /// IDs of containers to remove first.
        instead_of: Vec<String>,
    },
    /// Start a container that has ended.
    Start {
        /// Container ID.
        id: String,
        /// Its name.
        name: String,
        /// Role of the container.
        role: Role,
    },
    /// Remove a container that should not be.
    Remove {
        /// Container ID.
        id: String,
        /// Its name.
        name: String,
    },
}

impl ContainerAction {
    /// Name of its container.
    pub fn name(&self) -> &str {
        match self {
            Self::Create { container, .. } => &container.name,
            Self::Start { name, .. } | Self::Remove { name, .. } => name,
        }
    }

    /// Verb that says what is done to the container.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::Start { .. } => "start",
            Self::Remove { .. } => "remove",
        }
    }

    /// The step in words.
    pub fn sentence(&self) -> String {
        match self {
            Self::Create {
                container,
                instead_of,
            } if instead_of.is_empty() => format!("create container {}", container.name),
            Self::Create { container, .. } => format!("replace container {}", container.name),
            Self::Start { name, .. } => format!("start container {name}"),
            Self::Remove { name, .. } => format!("remove container {name}"),
        }
    }
}

/// The steps from `observed` to `desired`, in the order of `desired`; removals first.
pub fn reconcile(desired: &[Container], observed: &[ObservedContainer]) -> Vec<ContainerAction> {
    let mut by_name: HashMap<&str, Vec<&ObservedContainer>> = HashMap::new();
    for container in observed {
        by_name.entry(&container.name).or_default().push(container);
    }
    let mut steps = Vec::new();
    for container in desired {
        let namesakes = by_name.remove(container.name.as_str()).unwrap_or_default();
        match namesakes.as_slice() {
            [one] if one.fingerprint == container.fingerprint() => {
                if !one.is_running() {
                    steps.push(ContainerAction::Start {
                        id: one.id.clone(),
                        name: one.name.clone(),
                        role: container.role,
                    });
                }
            }
            namesakes => steps.push(ContainerAction::Create {
                container: Box::new(container.clone()),
                instead_of: namesakes.iter().map(|one| one.id.clone()).collect(),
            }),
        }
    }
    let mut left: Vec<&ObservedContainer> = by_name.into_values().flatten().collect();
    left.sort_by(|a, b| a.name.cmp(&b.name));
    let mut actions: Vec<ContainerAction> = left
        .into_iter()
        .map(|container| ContainerAction::Remove {
            id: container.id.clone(),
            name: container.name.clone(),
        })
        .collect();
    actions.extend(steps);
    actions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(actor: &str, memory: u64) -> Container {
        Container {
            name: format!("cf.run.{actor}"),
            actor: actor.to_owned(),
            role: Role::UNIT,
            image: "image:1".to_owned(),
            command: Vec::new(),
            environment: Vec::new(),
            mounts: Vec::new(),
            networks: Vec::new(),
            ports: Vec::new(),
            cpu: 0.1,
            memory: Some(memory),
            open_files: None,
            user: None,
            actor_fingerprint: String::new(),
        }
    }

    fn observed(container: &Container, id: &str, state: &str) -> ObservedContainer {
        ObservedContainer {
            id: id.to_owned(),
            name: container.name.clone(),
            actor: container.actor.clone(),
            role: Some(container.role),
            fingerprint: container.fingerprint(),
            state: state.to_owned(),
            status: String::new(),
            ports: Vec::new(),
        }
    }

    #[test]
    fn what_is_as_it_should_be_stays() {
        let desired = [container("a", 1), container("b", 1)];
        let observed = [
            observed(&desired[0], "1", "running"),
            observed(&desired[1], "2", "running"),
        ];
        assert_eq!(reconcile(&desired, &observed), []);
    }

    #[test]
    fn only_what_differs_is_replaced_started_or_removed() {
        let desired = [
            container("changed", 2),
            container("ended", 1),
            container("missing", 1),
        ];
        let (before, gone) = (container("changed", 1), container("gone", 1));
        let observed = [
            observed(&before, "1", "running"),
            observed(&desired[1], "2", "exited"),
            observed(&gone, "3", "running"),
        ];
        let create = |index: usize, instead_of: &[&str]| ContainerAction::Create {
            container: Box::new(desired[index].clone()),
            instead_of: instead_of.iter().map(|id| (*id).to_owned()).collect(),
        };
        let expected = [
            ContainerAction::Remove {
                id: "3".to_owned(),
                name: gone.name,
            },
            create(0, &["1"]),
            ContainerAction::Start {
                id: "2".to_owned(),
                name: desired[1].name.clone(),
                role: Role::UNIT,
            },
            create(2, &[]),
        ];
        assert_eq!(reconcile(&desired, &observed), expected);
    }
}
