//! Names of a run's objects: all begin with `cf-RUN`, so that several runs fit in a namespace.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::deploy::docker::desired::{BROKER, STORE};

/// Kubernetes labels the pods of a StatefulSet with its name, a dash and a hash of 10, and takes no label
/// of more than 63 characters.
const LONGEST_SET: usize = 52;

/// Error of a run that Kubernetes cannot take.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name is too long.
    #[error(
        "name `{name}` in Kubernetes: it has {} characters, and {LONGEST_SET} are the most (give the run \
         another name with `--set name=...`, or its layers shorter ones)", name.len()
    )]
    TooLong {
        /// The name.
        name: String,
    },
    /// Two things have one name.
    #[error(
        "name `{name}` in Kubernetes: `{one}` and `{other}` would both be called so (give the layer \
         another name)"
    )]
    Twice {
        /// The name.
        name: String,
        /// One thing of that name.
        one: String,
        /// The other thing of that name.
        other: String,
    },
    /// A layer has more units than can be counted.
    #[error(
        "put `{set}` into one StatefulSet: it has too many units (host more neurons in each with `--neurons-per-unit`)"
    )]
    TooMany {
        /// The layer.
        set: String,
    },
    /// The record does not fit.
    #[error(
        "put the run's record into a ConfigMap: it has {bytes} bytes, and {} are the most (layers that \
         are alike take no more than one in a block with `repeat`; a table takes less where its columns of text \
         have fewer words, or are left out with `ignore`)",
        super::MOST_BYTES_INSIDE
    )]
    LargeRecord {
        /// Bytes of the record.
        bytes: usize,
    },
    /// A value cannot be written.
    #[error("write the manifests: {0}")]
    Unwritable(#[from] serde_json::Error),
}

/// The names of a run's objects.
#[derive(Clone, Debug)]
pub struct Names {
    run: String,
}

impl Names {
    /// Names of the objects of run `run`.
    pub fn new(run: &str) -> Self {
        Self {
            run: run.to_owned(),
        }
    }

    /// Name that leads to all actors.
    pub fn all(&self) -> String {
        format!("cf-{}", self.run)
    }

    /// A thing that belongs to the run.
    pub fn of_part(&self, part: &str) -> String {
        format!("{}-{part}", self.all())
    }

    /// Name that leads to the broker.
    pub fn broker(&self) -> String {
        self.of_part(BROKER)
    }

    /// Name that leads to the store.
    pub fn store(&self) -> String {
        self.of_part(STORE)
    }

    /// The secrets of a reader.
    pub fn of_secret(&self, reader: &str) -> String {
        self.of_part(reader)
    }

    /// The StatefulSet of a layer's units, or of anybody else: names of Kubernetes have neither points
    /// nor underscores.
    ///
    /// # Errors
    /// When it is too long.
    pub fn of_set(&self, set: &str) -> Result<String, Error> {
        let name = self.of_part(&set.replace(['.', '_'], "-"));
        if name.len() > LONGEST_SET {
            return Err(Error::TooLong { name });
        }
        Ok(name)
    }

    /// Checks that these sets can be told apart.
    ///
    /// # Errors
    /// Names two that cannot.
    pub fn check<'a>(&self, sets: impl Iterator<Item = &'a str>) -> Result<(), Error> {
        let mut known = BTreeMap::new();
        for set in sets {
            let name = self.of_set(set)?;
            if let Some(one) = known.insert(name.clone(), set) {
                let (one, other) = (one.to_owned(), set.to_owned());
                return Err(Error::Twice { name, one, other });
            }
        }
        Ok(())
    }

    /// The labels of a set, or those that all objects of the run have.
    pub fn labels(&self, set: Option<&str>) -> BTreeMap<String, String> {
        let component = set.map(|set| ("component", set));
        // The name of all actors must not lead to these two.
        let name = match set {
            Some(BROKER) => "rabbitmq",
            Some(STORE) => "cuttlefish-store",
            _ => "cuttlefish",
        };
        let labels = [("name", name), ("instance", self.run.as_str())];
        labels
            .into_iter()
            .chain(component)
            .map(|(key, value)| (format!("app.kubernetes.io/{key}"), value.to_owned()))
            .collect()
    }

    pub(super) fn metadata(&self, name: String, set: Option<&str>) -> ObjectMeta {
        ObjectMeta {
            name: Some(name),
            labels: Some(self.labels(set)),
            ..ObjectMeta::default()
        }
    }
}
