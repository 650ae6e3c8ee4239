//! State of each container of a run, with what it says of itself.

use std::cmp::Reverse;
use std::collections::HashMap;

use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};

use super::desired::Role;
use super::endpoints::inspection_of;
use super::reconcile::ObservedContainer;
use super::run::DockerRun;
use crate::deploy::Error;

/// Inspections asked at once.
const AT_ONCE: usize = 16;

/// State of one container.
#[derive(Clone, Debug)]
pub struct ContainerStatus {
    /// The container as Docker lists it.
    pub observed: ObservedContainer,
    /// Its metrics by name; empty where it does not answer.
    figures: HashMap<String, f64>,
    /// Trouble that it reports; None where all is well.
    trouble: Option<String>,
    /// Messages that wait for it or that it has sent, where the broker says so.
    pub queued: Option<u64>,
    /// Address of its inspection.
    pub url: Option<String>,
}

impl DockerRun {
    /// Every container of the run, the trainer first.
    ///
    /// # Errors
    /// When Docker does not answer, or the run's token cannot be read.
    pub async fn status(&self) -> Result<Vec<ContainerStatus>, Error> {
        let run = self.dir.name();
        let observed = self.observe().await?;
        let token = self.secrets.read("token")?;
        let queued = self.queued().await;
        let status_of = |observed: ObservedContainer| {
            let token = token.clone();
            let queued = queued.as_ref().map(|queued| {
                let prefix = format!("cf.{run}.{}.", observed.actor);
                let own = queued.iter().filter(|(name, _)| name.starts_with(&prefix));
                own.map(|(_, messages)| messages).sum()
            });
            async move {
                let inspection = inspection_of(&observed, &token);
                let (mut figures, mut trouble) = (HashMap::new(), None);
                if let Some(inspection) = &inspection {
                    figures = inspection.metrics().await;
                    if figures.get("cuttlefish_broker_connected") == Some(&0.0) {
                        trouble = inspection.trouble().await;
                    }
                }
                ContainerStatus {
                    observed,
                    figures,
                    trouble,
                    queued,
                    url: inspection.map(|inspection| inspection.base().to_owned()),
                }
            }
        };
        let mut units: Vec<ContainerStatus> = stream::iter(observed.into_iter().map(status_of))
            .buffered(AT_ONCE)
            .collect()
            .await;
        units.sort_by_key(|unit| Reverse(unit.observed.role));
        Ok(units)
    }

    /// Messages in each queue; None where the broker's management API is not ours to ask.
    async fn queued(&self) -> Option<Vec<(String, u64)>> {
        let (management, vhost) = self.management().await.ok()??;
        let prefix = format!("cf.{}.", self.dir.name());
        let request = tokio::task::spawn_blocking(move || management.queues(&vhost, &prefix));
        let queues = request.await.ok()?.ok()?;
        Some(
            queues
                .into_iter()
                .map(|queue| (queue.name, queue.messages))
                .collect(),
        )
    }
}

impl ContainerStatus {
    /// One of its metrics; None where it has none of that name.
    pub fn figure(&self, name: &str) -> Option<f64> {
        self.figures.get(name).copied()
    }

    /// State in Docker's word, or the trouble that the container reports.
    pub fn state(&self) -> &str {
        let trouble = self.trouble.as_deref();
        trouble.unwrap_or(&self.observed.state)
    }

    /// The container as a JSON document.
    pub fn document(&self) -> Value {
        json!({
            "actor": self.observed.actor,
            "role": self.observed.role.map_or("", Role::word),
            "container": self.observed.name,
            "state": self.state(),
            "status": self.observed.status,
            "tick": self.figure("cuttlefish_tick"),
            "generation": self.figure("cuttlefish_generation"),
            "private_bytes": self.figure("cuttlefish_private_memory_bytes"),
            "resident_bytes": self.figure("process_resident_memory_bytes"),
            "messages_refused": self.figure("cuttlefish_messages_refused_total"),
            "messages_foreign": self.figure("cuttlefish_messages_foreign_total"),
            "queued_messages": self.queued,
            "inspect": self.url,
        })
    }
}
