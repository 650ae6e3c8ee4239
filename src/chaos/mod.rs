//! Fault injection: a run in containers survives faults on purpose.
//!
//! | module | responsibility |
//! |---|---|
//! | [`schedule`] | faults in order, with target and duration; pure |
//! | [`faults`] | carries one out, and undoes what does not end by itself |
//! | [`replay`] | messages sent once more |
//! | [`watch`] | observations of the run meanwhile |
//! | [`report`] | results, for people and programs; pure |
//!
//! It only breaks things. The run comes back by its usual means: Docker's restart policy, an
//! attached command that starts what has ended, and the trainer's rewind.

pub mod faults;
pub mod replay;
pub mod report;
pub mod schedule;
pub mod watch;

use std::pin::Pin;
use std::time::{Duration, Instant};

use faults::FaultInjector;
pub use report::{ChaosReport, Ending, FaultOutcome};
use schedule::{FaultSchedule, ScheduledFault};
use watch::{Sign, Watcher};

/// A run that has not got over a fault after this never will.
const RECOVERED_WITHIN: Duration = Duration::from_secs(300);

/// Time until the first look at the run, and the first tick.
const FIRST_TICK_WITHIN: Duration = Duration::from_secs(60);

/// Condition after which no more faults follow.
#[derive(Clone, Copy, Debug)]
pub enum StopCondition {
    /// A number of faults.
    Faults(u64),
    /// A time from the beginning.
    Time(Duration),
}

/// Faults against one run.
pub struct Chaos {
    /// Injector that carries them out.
    pub injector: FaultInjector,
    /// Schedule of the faults.
    pub schedule: FaultSchedule,
    /// Watcher of the run meanwhile.
    pub watcher: Watcher,
    /// Condition after which it is enough.
    pub stop: StopCondition,
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
    /// Breaks one thing after the other; `on_outcome` hears of each when the run has got over it.
    pub async fn run(
        mut self,
        interrupt: &mut Interrupt,
        on_outcome: impl Fn(&FaultOutcome),
    ) -> ChaosReport {
        let began = Instant::now();
        let mut outcomes: Vec<FaultOutcome> = Vec::new();
        self.watcher.observations().expect(Sign::Tick);
        let first = interrupt.or(self.watcher.sign(FIRST_TICK_WITHIN)).await;
        let mut ending = match first {
            Some(None) => Some(Ending::NotRecovered),
            _ => None,
        };
        let tick = self.watcher.observations().tick;
        while ending.is_none() {
            ending = self.is_over(outcomes.len(), began, interrupt);
            if ending.is_some() {
                break;
            }
            let Some(fault) = self.schedule.next() else {
                break;
            };
            interrupt.or(tokio::time::sleep(fault.pause)).await;
            if interrupt.has_come() || self.watcher.observations().ended {
                continue;
            }
            self.settle(outcomes.last_mut());
            let outcome = self.carry_out(fault, interrupt).await;
            on_outcome(&outcome);
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
        let observations = self.watcher.observations();
        ChaosReport {
            outcomes,
            ending: ending.unwrap_or(Ending::Enough),
            took: began.elapsed(),
            ticks: (tick, observations.tick),
            commit_ticks: observations.commit_ticks.clone(),
            most_recomputed: observations.most_recomputed,
            busiest: observations.busiest,
        }
    }

    fn is_over(&self, faults: usize, began: Instant, interrupt: &Interrupt) -> Option<Ending> {
        let is_enough = match self.stop {
            StopCondition::Faults(limit) => faults as u64 >= limit,
            StopCondition::Time(limit) => began.elapsed() >= limit,
        };
        if interrupt.has_come() {
            Some(Ending::Interrupted)
        } else if self.watcher.observations().ended {
            Some(Ending::RunEnded)
        } else {
            is_enough.then_some(Ending::Enough)
        }
    }

    /// Adds to an outcome what has happened since.
    fn settle(&self, outcome: Option<&mut FaultOutcome>) {
        let observations = self.watcher.observations();
        if let Some(outcome) = outcome {
            outcome.rewinds = observations.generation - outcome.before.0;
            outcome.recomputed = observations.recomputed - outcome.before.1;
        }
    }

    async fn carry_out(&self, fault: ScheduledFault, interrupt: &mut Interrupt) -> FaultOutcome {
        let before = {
            let observations = self.watcher.observations();
            (observations.generation, observations.recomputed)
        };
        let sign = FaultInjector::sign(fault.kind, before.0);
        let process = self.injector.process(&fault).await;
        let began = Instant::now();
        let expect = |sign| self.watcher.observations().expect(sign);
        if matches!(sign, Sign::TickAfter(_)) {
            expect(sign);
        }
        let begun = self.injector.begin(&fault).await;
        let mut counts_from = began;
        if begun.is_ok() && fault.kind.is_held() {
            interrupt.or(self.injector.hold(&fault)).await;
        }
        let ended = self.injector.end(&fault).await;
        let is_undone = ended.is_ok();
        if sign == Sign::Tick {
            counts_from = Instant::now();
            expect(sign);
        }
        let mut outcome = FaultOutcome {
            before,
            start: None,
            recovered: None,
            recomputed: 0,
            rewinds: 0,
            problem: [begun.err(), ended.err()]
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
            let restarted = async {
                let wait = self.injector.restart_time(fault, process);
                let restarted = tokio::time::timeout(RECOVERED_WITHIN, wait).await;
                if sign == Sign::Commit {
                    expect(sign);
                }
                restarted.ok().flatten()
            };
            let recovered = async {
                let (restarted, sign) = if sign == Sign::Commit {
                    (restarted.await, self.watcher.sign(RECOVERED_WITHIN).await)
                } else {
                    tokio::join!(restarted, self.watcher.sign(RECOVERED_WITHIN))
                };
                (restarted.map(since), sign.map(since))
            };
            (outcome.start, outcome.recovered) =
                interrupt.or(recovered).await.unwrap_or((None, None));
        }
        self.settle(Some(&mut outcome));
        outcome
    }
}
