//! The port that carries tasks to workers, and their notices back.
//!
//! A task on it is a hint: it may come twice, late or never. Who may work on a task, and what came of it, is in the
//! store ([`crate::store::Claim`]). Its contract is tested with every backend by
//! `runtime/tests/support/task_queue_contract.rs`.

mod memory;

use std::time::Duration;

use async_trait::async_trait;

pub use memory::{MemoryBoard, MemoryQueue, in_memory};

/// Error of what carries the tasks. The text continues "failed to".
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub Box<dyn std::error::Error + Send + Sync>);

/// A task that a worker was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The task, as it was published.
    pub task: Vec<u8>,
    /// True if a worker had it before and was lost.
    pub is_redelivered: bool,
}

/// A worker's end: one task at a time.
#[async_trait(?Send)]
pub trait TaskQueue {
    /// The next task, once the last one is finished or rejected; `None` when no more will come.
    ///
    /// # Errors
    /// When the connection is lost: then the task in hand goes to somebody else.
    async fn next(&mut self) -> Result<Option<Delivery>, Error>;

    /// Takes the task in hand off the queue for good, so that it is this worker's however long it takes. No other
    /// task comes before [`Self::next`].
    ///
    /// # Errors
    /// When the connection is lost.
    async fn keep(&mut self) -> Result<(), Error>;

    /// The task in hand is done; whoever published it gets the notice.
    ///
    /// # Errors
    /// When the connection is lost.
    async fn finish(&mut self, notice: &[u8]) -> Result<(), Error>;

    /// The task in hand cannot be worked on by anybody: it is put aside for people to see.
    ///
    /// # Errors
    /// When the connection is lost.
    async fn reject(&mut self) -> Result<(), Error>;
}

/// A server's end: publishes tasks, and gets the notices of those that are done.
#[async_trait(?Send)]
pub trait TaskBoard {
    /// Publishes a task.
    ///
    /// # Errors
    /// When it is not known to be in the queue.
    async fn publish(&mut self, task: &[u8]) -> Result<(), Error>;

    /// The next notice, if one comes within this time.
    ///
    /// # Errors
    /// When the connection is lost.
    async fn notice(&mut self, within: Duration) -> Result<Option<Vec<u8>>, Error>;
}
