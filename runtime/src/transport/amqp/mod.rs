//! Messages between containers: over a RabbitMQ broker.
//!
//! | module | responsibility |
//! |---|---|
//! | [`connection`] | where a broker is; connections with a name, a heartbeat and a deadline |
//! | [`wiring`] | the exchanges, queues and bindings of a run |
//! | [`routes`] | which queues a machine listens to, and where its messages go |
//! | [`claim`] | becoming the actor that is missing |
//! | [`tap`] | copies of what queues get, and messages from outside |
//! | [`tasks`] | tasks of sweeps, to workers and back |
//! | [`session`] | one machine's connection: sends, receives, and says when it is lost |
//! | [`worker`] | a connection whose own thread runs the machine |
//! | `stream` | the socket of such a connection |
//! | [`management`] | the run's own virtual host and users, where the broker's HTTP API allows |
//!
//! The broker is a wire: nothing in it has to survive, so messages are not persistent, and there
//! are neither confirms nor acknowledgements. What is lost is computed again after a rewind.

pub mod claim;
pub mod connection;
pub mod management;
pub mod routes;
pub mod session;
mod stream;
pub mod tap;
pub mod tasks;
pub mod wiring;
pub mod worker;

pub use connection::{AddressError, Broker, Connection};
pub use session::Session;
pub use wiring::Wiring;

/// Error of a broker or of the connection to it. The text continues "failed to".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The broker cannot be reached, or refuses us.
    #[error("connect to {broker}: {source} ({hint})")]
    Connect {
        /// The address without its password.
        broker: String,
        /// Hint for a person.
        hint: &'static str,
        /// The client's error.
        source: lapin::Error,
    },
    /// The broker did not answer in time.
    #[error(
        "{what}: no answer within {seconds} s (is the broker overloaded, or its disk or memory full?)"
    )]
    Timeout {
        /// Name of the wait.
        what: String,
        /// Its length.
        seconds: u64,
    },
    /// This system refuses what a connection needs.
    #[error("prepare a connection to the broker: {0}")]
    System(#[from] std::io::Error),
    /// The broker refused a request, or the connection was lost.
    #[error("the broker: {0}")]
    Broker(#[from] lapin::Error),
    /// A connection ended.
    #[error("the connection to the broker was lost ({0})")]
    Lost(String),
    /// The HTTP API refused a request.
    #[error("the broker's management API: {0}")]
    Management(String),
}
