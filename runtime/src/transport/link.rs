//! A machine's link to the other machines: its state and what it has carried, for people who look at it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::{Serialize, Serializer};

/// Link of a machine to a broker, over all its sessions: what it has carried, and its state.
#[derive(Debug, Default)]
pub struct Link {
    /// Messages and bytes sent.
    pub sent: Count,
    /// Messages and bytes received, refused ones included.
    pub received: Count,
    /// Messages that were not ours to understand.
    pub refused: AtomicU64,
    /// Sessions so far.
    pub sessions: AtomicU64,
    state: Mutex<LinkState>,
}

/// Count of messages and of their bytes.
#[derive(Debug, Default)]
pub struct Count {
    /// Number of messages.
    pub messages: AtomicU64,
    /// Their encoded size.
    pub bytes: AtomicU64,
}

/// Figures of a link at a moment, in the words of the inspection's JSON.
#[derive(Clone, Debug, Serialize)]
pub struct LinkView {
    /// Its state.
    #[serde(rename = "broker")]
    pub state: LinkState,
    /// Sessions so far.
    #[serde(rename = "broker_sessions")]
    pub sessions: u64,
    /// Messages sent.
    pub messages_sent: u64,
    /// Their encoded size.
    pub bytes_sent: u64,
    /// Messages received, refused ones included.
    pub messages_received: u64,
    /// Their encoded size.
    pub bytes_received: u64,
    /// Messages that were not ours to understand.
    pub messages_refused: u64,
}

/// State of a link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LinkState {
    /// Connecting for the first time.
    #[default]
    Connecting,
    /// Connected, and at work.
    Connected,
    /// The broker takes no messages; it says why.
    Blocked(String),
    /// Lost, and not back yet; the text says why.
    Lost(String),
}

impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connecting => f.write_str("connecting to the broker"),
            Self::Connected => f.write_str("connected"),
            Self::Blocked(reason) => write!(f, "the broker takes no messages: {reason}"),
            Self::Lost(reason) => write!(f, "not connected: {reason}"),
        }
    }
}

impl Serialize for LinkState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Link {
    /// Its figures now.
    pub fn view(&self) -> LinkView {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        LinkView {
            state: self.state(),
            sessions: count(&self.sessions),
            messages_sent: count(&self.sent.messages),
            bytes_sent: count(&self.sent.bytes),
            messages_received: count(&self.received.messages),
            bytes_received: count(&self.received.bytes),
            messages_refused: count(&self.refused),
        }
    }

    /// Its state now.
    pub fn state(&self) -> LinkState {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Sets its state.
    pub fn set(&self, state: LinkState) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

impl Count {
    pub(super) fn add(&self, bytes: usize) {
        self.messages.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}
