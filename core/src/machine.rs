//! The shape of every decision maker: inputs in, effects out.
//!
//! A machine does no I/O and has no clock: time arrives with each input. A host executes the
//! effects, in the order of the list, against a transport and a store.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{Address, CommitPoint, Generation, NeuronRange};
use crate::protocol::{Envelope, Event, Ledger, Message, NeuronState, Outcome};
use crate::view::View;

/// A pure, synchronous state machine: `Trainer`, `Synapse` or `Unit`.
pub trait Machine {
    /// Reacts to one input. `now` is the time since the host started, never going back.
    fn on(&mut self, now: Duration, input: Input, effects: &mut dyn Effects);

    /// View of the machine as it is now. Takes a copy of all that it shows: for people, not for the
    /// hot path.
    fn view(&self) -> View;
}

/// Sink of the effects of a machine, in order. A host may execute each at once, so that a message
/// is under way while the machine still computes what nobody waits for.
pub trait Effects {
    /// Adds an effect.
    fn push(&mut self, effect: Effect);
}

impl Effects for Vec<Effect> {
    fn push(&mut self, effect: Effect) {
        Self::push(self, effect);
    }
}

/// Input of a machine, from its host.
#[derive(Clone, Debug)]
pub enum Input {
    /// The machine has just been started, with nothing in memory.
    Boot,
    /// A message arrived.
    Message(Envelope),
    /// The store answered a request.
    Stored(StoreReply),
    /// Time passed; sent about every tenth of a second.
    Clock,
    /// A person asks the run to commit and stop.
    Stop,
}

/// Effect of a machine, for its host to execute.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Send a message.
    Send {
        /// Receiver.
        to: Address,
        /// The message.
        envelope: Envelope,
    },
    /// Ask the store; the reply comes back as [`Input::Stored`], while other inputs go on.
    Store(StoreRequest),
    /// Something that people may want to see.
    Report(Event),
    /// The run is over.
    Finish(Box<Outcome>),
    /// The run cannot go on, and starting again would not help.
    Fail(Fault),
}

impl Effect {
    /// Sends a message of a generation.
    pub fn send(to: Address, generation: Generation, message: Message) -> Self {
        let envelope = Envelope {
            generation,
            message,
        };
        Self::Send { to, envelope }
    }
}

/// Request of a machine to the store.
#[derive(Clone, Debug)]
pub enum StoreRequest {
    /// Draw the next generation, then read the ledger.
    BeginGeneration,
    /// Write the ledger, unless there is a newer generation.
    WriteLedger {
        /// The generation of the writer.
        generation: Generation,
        /// Ledger to write.
        ledger: Box<Ledger>,
    },
    /// Read what a commit point holds for some neurons.
    ReadCommit {
        /// The generation of the reader, returned with the reply.
        generation: Generation,
        /// Which neurons.
        neurons: NeuronRange,
        /// Which commit point.
        commit: CommitPoint,
    },
    /// Write the state of some neurons to the commit point's slot, unless it holds a newer
    /// generation.
    WriteCommit {
        /// The generation of the writer.
        generation: Generation,
        /// Which neurons.
        neurons: NeuronRange,
        /// Which commit point.
        commit: CommitPoint,
        /// The state of each neuron, in order.
        states: Vec<NeuronState>,
    },
}

/// Reply of the store.
#[derive(Clone, Debug)]
pub enum StoreReply {
    /// The generation that was drawn, and the ledger (none before the first commit).
    Generation {
        /// The new generation.
        generation: Generation,
        /// The newest ledger.
        ledger: Option<Box<Ledger>>,
    },
    /// A ledger write ended.
    Ledger {
        /// The generation of the request.
        generation: Generation,
        /// The commit point that the ledger names.
        commit: CommitPoint,
        /// `None` if it is in the store; otherwise the newest generation, because of which it was
        /// refused.
        refused_by: Option<Generation>,
    },
    /// A commit was read.
    Commit {
        /// The generation of the request.
        generation: Generation,
        /// The state of each neuron in order, or what is wrong with it.
        states: Result<Vec<NeuronState>, String>,
    },
    /// A commit write ended.
    Committed {
        /// The generation of the request.
        generation: Generation,
        /// The commit point that was written.
        commit: CommitPoint,
        /// True if it is in the store; refused when the slot holds a newer generation.
        accepted: bool,
    },
}

/// Why a run cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// A number stopped being one.
    #[error(
        "layer `{layer}`, neuron {neuron}: tick {tick} gave a number that is not finite (try a smaller learning rate)"
    )]
    NotFinite {
        /// Name of the layer.
        layer: String,
        /// Index of the neuron.
        neuron: usize,
        /// The tick.
        tick: u64,
    },
    /// The loss stopped being a number.
    #[error("the loss of tick {tick} is not a finite number (try a smaller learning rate)")]
    LossNotFinite {
        /// The tick.
        tick: u64,
    },
    /// A unit cannot work, for a reason that starting it again does not mend.
    #[error("`{at}`: {problem}")]
    Unable {
        /// Its name within the run.
        at: String,
        /// Problem: what is missing or damaged, and what to do.
        problem: String,
    },
    /// Another trainer has taken the run over.
    #[error(
        "another trainer has taken over this run (generation {generation} is no longer the newest)"
    )]
    Superseded {
        /// Our generation.
        generation: Generation,
    },
}
