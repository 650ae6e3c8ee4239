//! Faults on purpose: what a run in containers survives, shown by breaking it.
//!
//! | module | responsibility |
//! |---|---|
//! | [`schedule`] | which fault, of whom, for how long; pure |
//! | [`faults`] | carries one out, and undoes what does not end by itself |
//! | [`replay`] | messages sent once more |
//! | [`watch`] | what is seen of the run meanwhile |
//! | [`report`] | what came of it, for people and programs; pure |
//!
//! It only breaks things. What brings the run back is what always does: Docker's restart policy, an
//! attached command that starts what has ended, and the trainer's rewind.

pub mod faults;
pub mod replay;
pub mod report;
pub mod schedule;
pub mod watch;

use std::pin::Pin;
use std::time::{Duration, Instant};

use faults::Hand;
pub use report::{Ending, Outcome, Report};
use schedule::{Fault, Schedule};
use watch::{Sign, Watcher};

/// A run that has not got over a fault after this never will.
const RECOVERED_WITHIN: Duration = Duration::from_secs(300);

/// Until the first look at the run, and the first tick.
const SEEN_WITHIN: Duration = Duration::from_secs(60);

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    /// After so many faults.
    Faults(u64),
    /// After so long.
    Time(Duration),
}

/// Faults against one run.
pub struct Chaos {
    /// Carries them out.
    pub hand: Hand,
    /// Says which.
    pub schedule: Schedule,
    /// Sees what comes of it.
    pub watcher: Watcher,
    /// Says when it is enough.
    pub limit: Limit,
}

/// Resolves when a person wants no more.
pub struct Interrupt {
    signal: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl Interrupt {
    /// An interrupt that comes when `signal` resolves.
    pub fn new(signal: impl Future<Output = ()> + 'static) -> Self {
        Self {
            signal: Some(Box::pin(signal)),
        }
    }

    fn has_come(&self) -> bool {
        self.signal.is_none()
    }

    /// Waits for `work`, or until the interrupt comes; not at all once it has.
    async fn or<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let signal = self.signal.as_mut()?;
        tokio::select! {
            value = work => Some(value),
            () = signal => {
                self.signal = None;
                None
            }
        }
    }
}

impl Chaos {
    /// Breaks one thing after the other; `told` hears of each when the run has got over it.
    pub async fn run(mut self, interrupt: &mut Interrupt, told: impl Fn(&Outcome)) -> Report {
        let began = Instant::now();
        let mut outcomes: Vec<Outcome> = Vec::new();
        self.watcher.seen().expect(Sign::Tick);
        let first = interrupt.or(self.watcher.sign(SEEN_WITHIN)).await;
        let mut ending = match first {
            Some(None) => Some(Ending::NotRecovered),
            _ => None,
        };
        let tick = self.watcher.seen().tick;
        while ending.is_none() {
            ending = self.is_over(outcomes.len(), began, interrupt);
            if ending.is_some() {
                break;
            }
            let Some(fault) = self.schedule.next() else {
                break;
            };
            interrupt.or(tokio::time::sleep(fault.pause)).await;
            if interrupt.has_come() || self.watcher.seen().ended {
                continue;
            }
            self.settle(outcomes.last_mut());
            let outcome = self.carry_out(fault, interrupt).await;
            told(&outcome);
            if !outcome.is_undone {
                // Another one on top of it would say nothing.
                ending = Some(Ending::NotUndone);
            } else if outcome.recovered.is_none()
                && outcome.problem.is_none()
                && !interrupt.has_come()
            {
                ending = Some(Ending::NotRecovered);
            }
            outcomes.push(outcome);
        }
        self.settle(outcomes.last_mut());
        let seen = self.watcher.seen();
        Report {
            outcomes,
            ending: ending.unwrap_or(Ending::Enough),
            took: began.elapsed(),
            ticks: (tick, seen.tick),
            commit_ticks: seen.commit_ticks.clone(),
            most_recomputed: seen.most_recomputed,
            busiest: seen.busiest,
        }
    }

    fn is_over(&self, faults: usize, began: Instant, interrupt: &Interrupt) -> Option<Ending> {
        let is_enough = match self.limit {
            Limit::Faults(limit) => faults as u64 >= limit,
            Limit::Time(limit) => began.elapsed() >= limit,
        };
        if interrupt.has_come() {
            Some(Ending::Interrupted)
        } else if self.watcher.seen().ended {
            Some(Ending::RunEnded)
        } else {
            is_enough.then_some(Ending::Enough)
        }
    }

    /// Adds to an outcome what has happened since.
    fn settle(&self, outcome: Option<&mut Outcome>) {
        let seen = self.watcher.seen();
        if let Some(outcome) = outcome {
            outcome.rewinds = seen.generation - outcome.before.0;
            outcome.recomputed = seen.recomputed - outcome.before.1;
        }
    }

    async fn carry_out(&self, fault: Fault, interrupt: &mut Interrupt) -> Outcome {
        let before = {
            let seen = self.watcher.seen();
            (seen.generation, seen.recomputed)
        };
        let sign = Hand::sign(fault.kind, before.0);
        let process = self.hand.process(&fault).await;
        let began = Instant::now();
        let expect = |sign| self.watcher.seen().expect(sign);
        if matches!(sign, Sign::TickAfter(_)) {
            expect(sign);
        }
        let broken = self.hand.begin(&fault).await;
        let mut counts_from = began;
        if broken.is_ok() && fault.kind.is_held() {
            interrupt.or(self.hand.hold(&fault)).await;
        }
        let mended = self.hand.end(&fault).await;
        let is_undone = mended.is_ok();
        if sign == Sign::Tick {
            counts_from = Instant::now();
            expect(sign);
        }
        let mut outcome = Outcome {
            before,
            start: None,
            recovered: None,
            recomputed: 0,
            rewinds: 0,
            problem: [broken.err(), mended.err()]
                .into_iter()
                .flatten()
                .map(|error| format!("{error:#}"))
                .reduce(|one, other| format!("{one}; {other}")),
            is_undone,
            fault,
        };
        let fault = &outcome.fault;
        let since = |at: Instant| at.saturating_duration_since(counts_from);
        if outcome.problem.is_none() {
            let returned = async {
                let wait = self.hand.returned(fault, process);
                let returned = tokio::time::timeout(RECOVERED_WITHIN, wait).await;
                if sign == Sign::Commit {
                    expect(sign);
                }
                returned.ok().flatten()
            };
            let recovered = async {
                let (returned, sign) = if sign == Sign::Commit {
                    (returned.await, self.watcher.sign(RECOVERED_WITHIN).await)
                } else {
                    tokio::join!(returned, self.watcher.sign(RECOVERED_WITHIN))
                };
                (returned.map(since), sign.map(since))
            };
            (outcome.start, outcome.recovered) =
                interrupt.or(recovered).await.unwrap_or((None, None));
        }
        self.settle(Some(&mut outcome));
        outcome
    }
}
