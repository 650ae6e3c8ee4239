//! State of a run's services.

use serde_json::{Value, json};

use super::reconcile::ObservedService;

/// The services of a run, and what differs from those that it should have.
#[derive(Clone, Debug)]
pub struct ServiceStatus {
    /// ECS cluster of the run.
    pub cluster: String,
    /// The services as ECS describes them.
    pub services: Vec<ObservedService>,
    /// Changes that would make them what they should be, a sentence each.
    pub differences: Vec<String>,
}

impl ServiceStatus {
    /// Tasks that run, and tasks that should.
    pub fn tasks(&self) -> (usize, usize) {
        self.services.iter().fold((0, 0), |(running, all), one| {
            (running + one.running as usize, all + one.count as usize)
        })
    }

    /// The services as a JSON document.
    pub fn document(&self, run: &str) -> Value {
        let services = self.services.iter().map(|one| {
            json!({
                "service": one.name,
                "desired_tasks": one.count,
                "running_tasks": one.running,
                "task_definition": one.definition_arn,
            })
        });
        json!({
            "run": run,
            "cluster": self.cluster,
            "services": services.collect::<Vec<_>>(),
            "differs": self.differences,
        })
    }
}
