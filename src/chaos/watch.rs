//! Watch over a run while it is disturbed: its tick, its generations, its commits.
//!
//! [`Observations`] is pure: it is given snapshots of the trainer and says what they mean.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cuttlefish_core::ids::CommitPoint;
use cuttlefish_core::protocol::Event;
use cuttlefish_core::topology::ActorKind;
use cuttlefish_core::trainer::Timing;
use tokio::task::JoinHandle;

use crate::deploy::Inspection;
use crate::deploy::docker::DockerRun;
use crate::host::RunSnapshot;

/// Pause between two looks at the trainer: what is measured is no finer than this.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// A trainer that is frozen or cut off does not answer at all.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// Sign that a run has got over a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// A tick is finished.
    Tick,
    /// A tick of a later generation than this one is finished.
    TickAfter(u64),
    /// A commit point is reached.
    Commit,
}

/// Observations of a run so far.
#[derive(Debug, Default)]
pub struct Observations {
    /// The trainer's observer, and its newest note.
    observer: Option<u32>,
    noted: u64,
    latest: Option<Event>,
    /// The generation whose ticks are under way.
    pub generation: u64,
    /// The last tick that was finished.
    pub tick: u64,
    /// Ticks that had been finished and were lost to rewinds.
    pub recomputed: u64,
    /// Most ticks that one rewind lost.
    pub most_recomputed: u64,
    /// Most ticks of one timeline within the time of a commit interval.
    pub busiest: u64,
    recent: VecDeque<(Instant, u64)>,
    commit: Option<CommitPoint>,
    /// Ticks from one commit point to the next.
    pub commit_ticks: Vec<u64>,
    /// True if the run has ended, or a person has ended it.
    pub ended: bool,
    sign: Option<Sign>,
    /// The latest event when the sign was first looked for.
    baseline: Option<Option<Event>>,
    sign_time: Option<Instant>,
}

impl Observations {
    /// Looks for a sign from now on.
    pub fn expect(&mut self, sign: Sign) {
        self.sign = Some(sign);
        self.baseline = None;
        self.sign_time = None;
    }

    /// Time at which the sign was seen, or the end of the run, which is as good as any; None before.
    pub fn sign_time(&self) -> Option<Instant> {
        self.sign_time
    }

    /// Adds a snapshot of the trainer, taken `now`.
    pub fn observe(&mut self, snapshot: &RunSnapshot, now: Instant) {
        let before = self.observer.replace(snapshot.observer);
        if before.is_some_and(|before| before != snapshot.observer) {
            // A new trainer counts its notes anew, and was asked for those after one of its predecessor's.
            self.noted = 0;
            return;
        }
        let (mut begun, mut committed) = (false, false);
        for note in snapshot
            .notes
            .iter()
            .filter(|note| note.number > self.noted)
        {
            match &note.event {
                Event::Started { generation, from } if generation.0 > self.generation => {
                    if self.generation > 0 {
                        let again = self.tick.saturating_sub(from.tick.0);
                        self.recomputed += again;
                        self.most_recomputed = self.most_recomputed.max(again);
                    }
                    self.generation = generation.0;
                    self.tick = from.tick.0;
                    self.commit = Some(*from);
                    begun = true;
                }
                Event::Committed(commit) => {
                    let before = self.commit.replace(*commit);
                    if let Some(before) = before
                        && commit.number == before.number + 1
                    {
                        self.commit_ticks.push(commit.tick.0 - before.tick.0);
                    }
                    committed = true;
                }
                _ => {}
            }
        }
        let newest = snapshot.notes.last().map_or(0, |note| note.number);
        self.noted = self.noted.max(newest);
        if begun {
            // The latest tick may still be one of the generation before.
            self.baseline = None;
            self.recent.clear();
        } else if let Some(Event::TickFinished { tick, .. }) = &snapshot.latest
            && snapshot.latest != self.latest
        {
            self.tick = tick.0;
            self.count(now);
        }
        self.latest.clone_from(&snapshot.latest);
        self.ended |= snapshot.end.is_some();
        self.look_for_sign(committed, now);
    }

    /// Counts the ticks of the last commit interval.
    fn count(&mut self, now: Instant) {
        let since = now.checked_sub(Timing::default().commit_interval);
        while let Some((at, _)) = self.recent.front()
            && since.is_some_and(|since| *at < since)
        {
            self.recent.pop_front();
        }
        let first = self.recent.front().map_or(self.tick, |(_, tick)| *tick);
        self.busiest = self.busiest.max(self.tick - first);
        self.recent.push_back((now, self.tick));
    }

    /// Takes the run as ended, as there is no trainer any more.
    fn mark_ended(&mut self, now: Instant) {
        self.ended = true;
        self.sign_time.get_or_insert(now);
    }

    fn look_for_sign(&mut self, committed: bool, now: Instant) {
        let Some(sign) = self.sign else { return };
        let ticked = match &self.baseline {
            None => {
                // Events from before the sign was asked for do not count.
                self.baseline = Some(self.latest.clone());
                false
            }
            Some(before) => match sign {
                Sign::Tick => *before != self.latest,
                Sign::TickAfter(generation) => {
                    self.generation > generation && *before != self.latest
                }
                Sign::Commit => committed,
            },
        };
        if ticked || self.ended {
            self.sign_time.get_or_insert(now);
        }
    }
}

/// Watcher of a run's trainer, which it looks at all the time.
pub struct Watcher {
    observations: Arc<Mutex<Observations>>,
    task: JoinHandle<()>,
}

impl Watcher {
    /// Begins to look.
    pub fn start(run: Arc<DockerRun>) -> Self {
        let observations = Arc::new(Mutex::new(Observations::default()));
        let task = tokio::spawn(watch(run, observations.clone()));
        Self { observations, task }
    }

    /// Observations so far.
    pub fn observations(&self) -> MutexGuard<'_, Observations> {
        self.observations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the sign that is looked for, `at_most` this long.
    pub async fn sign(&self, at_most: Duration) -> Option<Instant> {
        let deadline = Instant::now() + at_most;
        loop {
            if let Some(at) = self.observations().sign_time() {
                return Some(at);
            }
            if Instant::now() >= deadline {
                return None;
            }
            tokio::time::sleep(POLL_INTERVAL / 2).await;
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn watch(run: Arc<DockerRun>, observations: Arc<Mutex<Observations>>) {
    let lock = || observations.lock().unwrap_or_else(PoisonError::into_inner);
    let mut inspection: Option<Inspection> = None;
    loop {
        if inspection.is_none() {
            // The trainer's port is another one whenever its container is started.
            inspection = run.inspect(ActorKind::Trainer.word()).await.ok();
            if inspection.is_none() && matches!(run.has_been_left().await, Ok(true)) {
                lock().mark_ended(Instant::now());
            }
        }
        if let Some(trainer) = &inspection {
            let noted = lock().noted;
            let snapshot = tokio::time::timeout(ANSWER_WITHIN, trainer.look(noted)).await;
            match snapshot {
                Ok(Ok(snapshot)) => lock().observe(&snapshot, Instant::now()),
                _ => inspection = None,
            }
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use cuttlefish_core::data::Part;
    use cuttlefish_core::ids::{Generation, Tick};
    use cuttlefish_core::protocol::Evaluation;

    use super::*;
    use crate::host::{End, Note};

    fn tick(number: u64) -> Event {
        Event::TickFinished {
            tick: Tick(number),
            epoch: 1,
            part: Part::Train,
            index: 0,
            rows: 1,
            running: Evaluation {
                loss: 1.0,
                accuracy: None,
                mse: None,
                mae: None,
                r2: None,
                confusion: None,
            },
        }
    }

    fn commit(number: u64, tick: u64) -> CommitPoint {
        CommitPoint {
            number,
            tick: Tick(tick),
        }
    }

    fn start_event(generation: u64, from: CommitPoint) -> Event {
        Event::Started {
            generation: Generation(generation),
            from,
        }
    }

    fn snapshot(observer: u32, notes: &[Event], latest: u64) -> RunSnapshot {
        let notes = (1..).zip(notes).map(|(number, event)| Note {
            number,
            at: Duration::ZERO,
            event: event.clone(),
        });
        RunSnapshot {
            observer,
            latest: Some(tick(latest)),
            notes: notes.collect(),
            ..RunSnapshot::default()
        }
    }

    #[test]
    fn a_tick_of_the_generation_before_is_no_sign() {
        let mut observations = Observations::default();
        let mut notes = vec![start_event(1, commit(0, 0))];
        observations.observe(&snapshot(1, &notes, 9), Instant::now());
        observations.observe(&snapshot(1, &notes, 10), Instant::now());
        observations.expect(Sign::TickAfter(1));
        for latest in 11..=13 {
            observations.observe(&snapshot(1, &notes, latest), Instant::now());
            assert_eq!(
                observations.sign_time(),
                None,
                "tick {latest} of generation 1"
            );
        }
        notes.push(start_event(2, commit(1, 8)));
        observations.observe(&snapshot(1, &notes, 13), Instant::now());
        assert_eq!(observations.sign_time(), None, "nothing finished since");
        assert_eq!(
            (
                observations.recomputed,
                observations.most_recomputed,
                observations.tick
            ),
            (5, 5, 8)
        );
        let now = Instant::now();
        observations.observe(&snapshot(1, &notes, 9), now);
        assert_eq!(observations.sign_time(), Some(now));
    }

    #[test]
    fn a_tick_from_before_the_question_is_no_sign() {
        let mut observations = Observations::default();
        let notes = [start_event(1, commit(0, 0))];
        observations.observe(&snapshot(1, &notes, 3), Instant::now());
        observations.expect(Sign::Tick);
        observations.observe(&snapshot(1, &notes, 4), Instant::now());
        assert_eq!(observations.sign_time(), None);
        observations.observe(&snapshot(1, &notes, 4), Instant::now());
        assert_eq!(observations.sign_time(), None);
        observations.observe(&snapshot(1, &notes, 5), Instant::now());
        assert!(observations.sign_time().is_some());
    }

    #[test]
    fn a_new_trainer_is_listened_to_from_its_first_note() {
        let mut observations = Observations::default();
        let notes = [
            start_event(1, commit(0, 0)),
            Event::Committed(commit(1, 20)),
        ];
        observations.observe(&snapshot(1, &notes, 30), Instant::now());
        assert_eq!(observations.noted, 2);
        let notes = [start_event(2, commit(1, 20))];
        observations.observe(&snapshot(2, &notes, 20), Instant::now());
        assert_eq!(
            (observations.noted, observations.generation),
            (0, 1),
            "asked again"
        );
        observations.observe(&snapshot(2, &notes, 21), Instant::now());
        assert_eq!((observations.noted, observations.generation), (1, 2));
        assert_eq!(observations.commit_ticks, [20]);
    }

    #[test]
    fn a_commit_and_the_end_are_signs() {
        let mut observations = Observations::default();
        let mut notes = vec![start_event(1, commit(0, 0))];
        observations.observe(&snapshot(1, &notes, 3), Instant::now());
        observations.expect(Sign::Commit);
        observations.observe(&snapshot(1, &notes, 4), Instant::now());
        observations.observe(&snapshot(1, &notes, 5), Instant::now());
        assert_eq!(observations.sign_time(), None);
        notes.push(Event::Committed(commit(1, 5)));
        observations.observe(&snapshot(1, &notes, 6), Instant::now());
        assert!(observations.sign_time().is_some());
        observations.expect(Sign::TickAfter(7));
        let mut last = snapshot(1, &notes, 6);
        last.end = Some(End::StoreFailed("x".to_owned()));
        observations.observe(&last, Instant::now());
        assert!(observations.sign_time().is_some());
    }
}
