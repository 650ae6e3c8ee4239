//! `ps RUN` for a run in containers: each of them, with what it says of itself.

use std::cmp::Reverse;
use std::collections::HashMap;

use futures_util::stream::{self, StreamExt};
use indicatif::HumanBytes;
use serde_json::{Value, json};

use super::{Exit, Failure, print, print_json};
use crate::deploy::docker::desired::Role;
use crate::deploy::docker::reconcile::Observed;
use crate::orchestrator::Deployed;
use crate::orchestrator::remote::Inspection;
use crate::report::table::aligned;

/// Inspections asked at once.
const AT_ONCE: usize = 16;

/// One container.
struct Unit {
    observed: Observed,
    /// Its figures by name; none where it does not answer.
    figures: HashMap<String, f64>,
    /// What it says is wrong with it.
    trouble: Option<String>,
    /// Messages that wait for it or that it has sent, where the broker says so.
    queued: Option<u64>,
    url: Option<String>,
}

pub async fn units(deployed: &Deployed, as_json: bool) -> Result<Exit, Failure> {
    let run = deployed.run.name();
    let observed = deployed.observe().await?;
    let token = deployed.secrets.read("token")?;
    let queued = queued(deployed).await;
    let look = |observed: Observed| {
        let token = token.clone();
        let queued = queued.as_ref().map(|queued| {
            let prefix = format!("cf.{run}.{}.", observed.actor);
            let own = queued.iter().filter(|(name, _)| name.starts_with(&prefix));
            own.map(|(_, messages)| messages).sum()
        });
        async move {
            let inspection = Inspection::of(&observed, &token);
            let (mut figures, mut trouble) = (HashMap::new(), None);
            if let Some(inspection) = &inspection {
                figures = inspection.metrics().await;
                if figures.get("cuttlefish_broker_connected") == Some(&0.0) {
                    trouble = inspection.trouble().await;
                }
            }
            Unit {
                observed,
                figures,
                trouble,
                queued,
                url: inspection.map(|inspection| inspection.base().to_owned()),
            }
        }
    };
    let mut units: Vec<Unit> = stream::iter(observed.into_iter().map(look))
        .buffered(AT_ONCE)
        .collect()
        .await;
    // People look for the trainer first.
    units.sort_by_key(|unit| Reverse(unit.observed.role));
    if as_json {
        let units: Vec<Value> = units.iter().map(Unit::document).collect();
        print_json(&json!({"run": run, "target": "docker", "units": units}))?;
    } else {
        let heads = [
            "UNIT",
            "STATE",
            "TICK",
            "GENERATION",
            "MEMORY",
            "QUEUED",
            "INSPECT",
        ];
        let rows: Vec<Vec<String>> = std::iter::once(heads.map(str::to_owned).to_vec())
            .chain(units.iter().map(Unit::row))
            .collect();
        print(&aligned(&rows, 2))?;
    }
    Ok(Exit::Ok)
}

/// Messages in each queue; none where the broker's management API is not ours to ask.
async fn queued(deployed: &Deployed) -> Option<Vec<(String, u64)>> {
    let (management, vhost) = deployed.management().await.ok()??;
    let prefix = format!("cf.{}.", deployed.run.name());
    let asked = tokio::task::spawn_blocking(move || management.queues(&vhost, &prefix));
    let queues = asked.await.ok()?.ok()?;
    Some(
        queues
            .into_iter()
            .map(|queue| (queue.name, queue.messages))
            .collect(),
    )
}

impl Unit {
    fn figure(&self, name: &str) -> Option<f64> {
        self.figures.get(name).copied()
    }

    /// What Docker says, and what the unit says beyond that.
    fn state(&self) -> &str {
        let trouble = self.trouble.as_deref();
        trouble.unwrap_or(&self.observed.state)
    }

    fn row(&self) -> Vec<String> {
        let count = |name: &str| {
            self.figure(name)
                .map_or("-".to_owned(), |n| format!("{n:.0}"))
        };
        let memory = self.figure("cuttlefish_private_memory_bytes");
        vec![
            self.observed.actor.clone(),
            self.state().to_owned(),
            count("cuttlefish_tick"),
            count("cuttlefish_generation"),
            memory.map_or("-".to_owned(), |bytes| HumanBytes(bytes as u64).to_string()),
            self.queued
                .map_or("-".to_owned(), |queued| queued.to_string()),
            self.url.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    }

    fn document(&self) -> Value {
        json!({
            "unit": self.observed.actor,
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
            "queued": self.queued,
            "inspect": self.url,
        })
    }
}
