//! Machine of a test, whose every effect is checked.

use std::time::Duration;

use cuttlefish_core::ids::Generation;
use cuttlefish_core::machine::{Effect, Input, Machine, StoreRequest};
use cuttlefish_core::protocol::{Envelope, Ledger, Message, Outcome, TickHeader};
use cuttlefish_core::view::View;

/// Machine whose effects are checked, each one.
pub struct TestMachine<M> {
    machine: M,
    pub now: Duration,
    /// The last tick that it sent on.
    pub issued: Option<TickHeader>,
    /// The last ledger that it has written.
    pub ledger: Option<Box<Ledger>>,
    /// The end of the run.
    pub outcome: Option<Box<Outcome>>,
}

impl<M: Machine> TestMachine<M> {
    pub fn new(machine: M) -> Self {
        Self {
            machine,
            now: Duration::ZERO,
            issued: None,
            ledger: None,
            outcome: None,
        }
    }

    /// Stale, duplicate and foreign messages so far.
    pub fn dropped(&self) -> [u64; 3] {
        let dropped = self.machine.view().dropped();
        [dropped.stale, dropped.duplicate, dropped.foreign]
    }

    pub fn view(&self) -> View {
        self.machine.view()
    }

    /// Gives an input, and expects these effects.
    #[track_caller]
    pub fn gets<S: Into<String>>(&mut self, input: Input, expected: impl IntoIterator<Item = S>) {
        let what = format!("{input:?}");
        let mut effects = Vec::new();
        self.machine.on(self.now, input, &mut effects);
        for effect in &effects {
            if let Effect::Send { envelope, .. } = effect
                && let Message::Forward { header, .. }
                | Message::Backward {
                    next: Some(header), ..
                } = envelope.message
            {
                self.issued = Some(header);
            }
            if let Effect::Store(StoreRequest::WriteLedger { ledger, .. }) = effect {
                self.ledger = Some(ledger.clone());
            }
            if let Effect::Finish(outcome) = effect {
                self.outcome = Some(outcome.clone());
            }
        }
        let effects: Vec<String> = effects.iter().map(summary).collect();
        let expected: Vec<String> = expected.into_iter().map(Into::into).collect();
        assert_eq!(effects, expected, "after {what}");
    }

    #[track_caller]
    pub fn hears<S: Into<String>>(
        &mut self,
        generation: u64,
        message: Message,
        expected: impl IntoIterator<Item = S>,
    ) {
        let generation = Generation(generation);
        let envelope = Envelope {
            generation,
            message,
        };
        self.gets(Input::Message(envelope), expected);
    }
}

fn then(next: &Option<TickHeader>) -> String {
    let Some(TickHeader { tick, mark, .. }) = next else {
        return String::new();
    };
    let mark = mark.map_or_else(String::new, |number| format!(" as commit {number}"));
    format!(", then {tick}{mark}")
}

/// An effect in a few words: for whom, what, which tick or commit point, and @generation.
fn summary(effect: &Effect) -> String {
    match effect {
        Effect::Send { to, envelope } => {
            let what = match &envelope.message {
                Message::Rewind(_) => "Rewind".to_owned(),
                Message::Hello { .. } => "Hello".to_owned(),
                Message::Ready { .. } => "Ready".to_owned(),
                Message::Unable { .. } => "Unable".to_owned(),
                Message::Diverged { neuron, tick, .. } => format!("Diverged {neuron} {tick}"),
                Message::Committed { commit, .. } => format!("Committed {}", commit.number),
                Message::Forward { header, .. } => format!("Forward {}", header.tick),
                Message::Activation { header, .. } => format!("Activation {}", header.tick),
                Message::Backward { tick, next, .. } => format!("Backward {tick}{}", then(next)),
                Message::Contribution { tick, next, .. } => {
                    format!("Contribution {tick}{}", then(next))
                }
                Message::Propagated { tick, next, .. } => {
                    format!("Propagated {tick}{}", then(next))
                }
            };
            format!("{to}: {what}@{}", envelope.generation)
        }
        Effect::Store(request) => match request {
            StoreRequest::BeginGeneration => "store: BeginGeneration".to_owned(),
            StoreRequest::WriteLedger { generation, ledger } => {
                format!("store: WriteLedger {}@{generation}", ledger.commit.number)
            }
            StoreRequest::ReadCommit {
                generation, commit, ..
            } => format!("store: ReadCommit {}@{generation}", commit.number),
            StoreRequest::WriteCommit {
                generation, commit, ..
            } => format!("store: WriteCommit {}@{generation}", commit.number),
        },
        Effect::Report(_) => "report".to_owned(),
        Effect::Finish(_) => "finish".to_owned(),
        Effect::Fail(_) => "fail".to_owned(),
    }
}
