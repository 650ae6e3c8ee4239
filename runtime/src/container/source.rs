//! The source of the batches of an actor in a process of its own.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::Arc;

use cuttlefish_core::data::{BatchRef, BatchSource, Batches, Feed, Part, Targets};
use cuttlefish_core::ids::Address;
use cuttlefish_core::math::Inputs;
use cuttlefish_core::topology::{Graph, Roster};

use crate::data::prepared;

/// Hint for a data set that cannot be used.
const AGAIN: &str = "`cuttlefish up` writes it anew; a rendered run has it beside its manifests";

/// Data set that an actor reads by itself, if it does.
pub struct Source {
    /// Its file; None for actors that get all they need in messages.
    pub path: Option<PathBuf>,
    /// SHA-256 of the data set that the run was started with, in hexadecimal.
    pub sha256: String,
    /// The file of a data set that is only in memory: it goes with this.
    _held: Option<File>,
}

impl Source {
    /// A data set of this hash in a file, if there is one.
    pub fn file(path: Option<PathBuf>, sha256: &str) -> Self {
        Self {
            path,
            sha256: sha256.to_owned(),
            _held: None,
        }
    }

    /// A data set of this hash from the bytes of its file, kept in memory.
    ///
    /// # Errors
    /// When there is not enough memory.
    pub fn bytes(prepared: &[u8], sha256: &str) -> std::io::Result<Self> {
        let fd = rustix::fs::memfd_create(c"rows", rustix::fs::MemfdFlags::CLOEXEC)?;
        let mut file = File::from(fd);
        file.write_all(prepared)?;
        Ok(Self {
            path: Some(format!("/proc/self/fd/{}", file.as_raw_fd()).into()),
            sha256: sha256.to_owned(),
            _held: Some(file),
        })
    }

    /// The batches of an actor.
    ///
    /// # Errors
    /// Says what is wrong with the data set.
    pub fn batches(&self, graph: &Graph, address: Address) -> Result<Arc<dyn BatchSource>, String> {
        let reads_data = Roster::new(graph)
            .actor(address)
            .reads_data(Feed::Reference);
        let Some(path) = self.path.as_deref().filter(|_| reads_data) else {
            return Ok(Arc::new(NoBatches));
        };
        let prepared =
            prepared::map(path).map_err(|error| format!("failed to {error} ({AGAIN})"))?;
        if prepared.sha256 != self.sha256 {
            return Err(format!(
                "`{}` is another data set than the one that the run was started with ({AGAIN})",
                path.display()
            ));
        }
        let training = &graph.training;
        let batches = Batches::lean(
            Arc::new(prepared.dataset),
            graph.seed,
            training.batch_size,
            training.shuffle,
        );
        Ok(Arc::new(batches.augmented(training.augmentation)))
    }
}

/// For actors that get everything they need in messages.
struct NoBatches;

impl BatchSource for NoBatches {
    fn is_readable(&self) -> bool {
        false
    }

    fn rows(&self, _: Part) -> usize {
        0
    }

    fn inputs(&self, _: BatchRef) -> Arc<Inputs> {
        unreachable!("only the first layer and the trainer read the data set")
    }

    fn targets(&self, _: BatchRef) -> Targets {
        unreachable!("only the trainer has targets")
    }
}
