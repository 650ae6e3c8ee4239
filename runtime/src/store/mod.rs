//! The store: every neuron's committed state, the ledger that names the commit all neurons have
//! written, and the counter that generations are drawn from.
//!
//! The store is the truth; everything on the wire can be computed again from it. This module must
//! not decide anything about a run: it keeps what it is given, refuses what is out of date, and
//! names what it cannot give back. Every backend passes the suite in `tests/it/store_contract.rs`.
//!
//! There is one code path, [`DynamoStore`]. The local target gives it a client that ends in a
//! `SQLite` file instead of at a server, see [`embedded`].

mod client;
mod deletion;
mod dynamodb;
pub mod embedded;
mod error;
mod in_process;
mod item;
mod neuron;
pub mod requests;
pub mod serve;
mod shared;
mod table;
mod tasks;
mod waiting;

use async_trait::async_trait;
use cuttlefish_core::ids::{CommitPoint, Generation, NeuronRange};
use cuttlefish_core::protocol::{Ledger, NeuronState};

pub use client::{
    Endpoint, OWN_REGION, connect, connect_from_environment, connect_from_environment_to,
    connect_with_key, credentials_from_environment, region_from_environment, sdk_from_environment,
};
pub use dynamodb::DynamoStore;
pub use error::{Error, describe, is_transient};
pub use tasks::{Claim, Holder, StoredTask};

/// Name of the table unless another one is configured.
pub const DEFAULT_TABLE: &str = "cuttlefish";

/// One run's part of the store.
///
/// Every write may be repeated: the second time changes nothing and is accepted like the first.
#[async_trait]
pub trait Store: Send + Sync {
    /// Draws the next generation, then reads the ledger – in that order, so that no ledger of an
    /// older generation can appear after it was read. A lost reply only skips a number.
    async fn begin_generation(&self) -> Result<(Generation, Option<Ledger>), Error>;

    /// Writes the ledger on condition that `generation` is still the newest one drawn.
    async fn write_ledger(
        &self,
        generation: Generation,
        ledger: &Ledger,
    ) -> Result<WriteReply, Error>;

    /// Reads the newest generation and the ledger (none before the first commit).
    /// `None`: no generation was ever drawn, so the run is unknown.
    async fn read_ledger(&self) -> Result<Option<(Generation, Option<Ledger>)>, Error>;

    /// Writes the state of `neurons`, in order, to the slot of `commit`.
    ///
    /// A neuron's slot that already holds a newer generation refuses, and so does one that holds
    /// a later commit of the same generation: without the second, a request that was given up
    /// and lands late would put an old commit in place of the one that the ledger names.
    /// After a refusal some of the neurons may have been written and others not.
    ///
    /// # Panics
    ///
    /// When there is not one state for each neuron.
    async fn write_commit(
        &self,
        generation: Generation,
        neurons: NeuronRange,
        commit: CommitPoint,
        states: &[NeuronState],
    ) -> Result<WriteReply, Error>;

    /// Reads what `commit` holds for `neurons`, in order, whoever wrote it and however the
    /// neurons were grouped then.
    async fn read_commit(
        &self,
        neurons: NeuronRange,
        commit: CommitPoint,
    ) -> Result<Vec<NeuronState>, Error>;

    /// Keeps a description of the run: whatever its owner needs to go on with it.
    async fn put_record(&self, record: &str) -> Result<(), Error>;

    /// Reads what [`Store::put_record`] kept.
    async fn get_record(&self) -> Result<Option<String>, Error>;

    /// Removes everything of the run and says how many items that were.
    ///
    /// The counter of generations goes as well, and with it the fence: only call this once
    /// nothing of the run is left to write.
    async fn remove_run(&self) -> Result<u64, Error>;
}

/// Result of a conditional write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a refused write is not an error, and nothing was written"]
pub enum WriteReply {
    /// Stored, be it by this request or by an earlier one whose reply was lost.
    Accepted,
    /// Fenced off: something newer is in its place.
    Refused {
        /// The newest generation that the refusing item has seen.
        newest: Generation,
    },
}
