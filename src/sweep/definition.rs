//! A sweep as its store has it: enough for a worker that has nothing else.

use std::path::PathBuf;

use cuttlefish_core::sweep::{Configuration, Goal, Metric, SweepSpec};
use cuttlefish_core::topology::spec::Spec;
use cuttlefish_core::topology::{self, Document, Problems};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Error;
use super::task::TaskId;
use crate::store::{DynamoStore, Store};

/// Version of this form.
const VERSION: u32 = 1;

/// Definition of a sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// Version of the form.
    version: u32,
    /// Key of the sweep: 128 random bits, hexadecimal.
    pub key: String,
    /// Directory of the topology file, to which paths in it are relative.
    pub base_dir: PathBuf,
    /// Text of the topology file.
    text: String,
    /// Overrides of the command line.
    overrides: Vec<String>,
    /// The topology with every default and override in it, and its sweep.
    pub topology: Spec,
    /// SHA-256 of the values and right answers of its data set.
    pub data_sha256: String,
    /// Metric by which trials are compared.
    pub metric: Metric,
    /// Direction in which it is better.
    pub goal: Goal,
}

impl Definition {
    /// A new sweep of a topology file and overrides, which come to `topology`.
    pub fn new(
        (base_dir, text, overrides): (PathBuf, &str, &[String]),
        topology: Spec,
        data_sha256: String,
        (metric, goal): (Metric, Goal),
    ) -> Self {
        Self {
            version: VERSION,
            key: format!("{:032x}", rand::random::<u128>()),
            base_dir,
            text: text.to_owned(),
            overrides: overrides.to_vec(),
            topology,
            data_sha256,
            metric,
            goal,
        }
    }

    /// The definition that a store has; `None` if it has no sweep.
    ///
    /// # Errors
    /// When the store cannot be read, or has something else.
    pub async fn read(store: &DynamoStore, sweep: &str) -> Result<Option<Self>, Error> {
        let Some(json) = store.get_record().await? else {
            return Ok(None);
        };
        let broken = |problem: String| Error::Broken {
            sweep: sweep.to_owned(),
            problem,
        };
        let definition: Self =
            serde_json::from_str(&json).map_err(|error| broken(error.to_string()))?;
        match definition.version {
            VERSION => Ok(Some(definition)),
            other => Err(broken(format!(
                "it has version {other}, this program reads version {VERSION}"
            ))),
        }
    }

    /// The definition as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a definition is plain JSON")
    }

    /// The sweep of the topology.
    pub fn sweep(&self) -> &SweepSpec {
        let sweep = self.topology.sweep.as_ref();
        sweep.expect("a definition is made of a topology with a sweep")
    }

    /// True if this is the same sweep as another, whatever their keys.
    pub fn is_same_as(&self, other: &Self) -> bool {
        (&self.topology, self.metric, self.goal) == (&other.topology, other.metric, other.goal)
    }

    /// Everything in which a task's topology differs from the sweep's, as overrides of its file.
    pub fn overrides(&self, task: TaskId, values: &[(String, Value)]) -> Vec<String> {
        let seed = self.topology.seed.wrapping_add(u64::from(task.seed));
        let mut overrides = vec![format!("seed={seed}")];
        overrides.extend(Configuration(values.to_vec()).overrides());
        if let Some(count) = self.sweep().folds {
            let fold = task.fold;
            overrides.push(format!(
                "data.folds={{\"count\": {count}, \"fold\": {fold}}}"
            ));
        }
        overrides
    }

    /// The topology of a task: an ordinary one, which trains to the same bits by itself.
    ///
    /// # Errors
    /// Lists what the values make of it that cannot be.
    pub fn document(&self, task: TaskId, values: &[(String, Value)]) -> Result<Document, Problems> {
        // Of the file as it was written: a default that was filled in may not fit another value.
        let mut overrides = self.overrides.clone();
        overrides.extend(self.overrides(task, values));
        topology::parse(&self.text, &overrides)
    }

    /// The topology of a task as a file of its own: without the sweep, and with another name.
    ///
    /// # Errors
    /// As [`Self::document`].
    pub fn spec(
        &self,
        task: TaskId,
        values: &[(String, Value)],
        name: String,
    ) -> Result<Spec, Problems> {
        let document = self.document(task, values)?;
        Ok(Spec {
            name,
            sweep: None,
            ..document.spec().clone()
        })
    }
}
