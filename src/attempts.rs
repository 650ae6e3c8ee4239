//! Work on many items, where one that fails does not keep the others from being done.
//!
//! Failures that may pass are tried again in a few rounds, after the others; what is left is told at the end.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};

/// Rounds in which an item is tried.
const ROUNDS: u32 = 4;

/// Pause before the second round, but for chance; doubled before each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Time within which a pause notices a cancellation.
const CANCEL_POLL: Duration = Duration::from_millis(50);

/// Failures that are listed one by one; of further ones only their number.
const MAX_SHOWN: usize = 5;

/// Use of trying again after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// An equal request may succeed later.
    Later,
    /// This one will not, but requests for other items may.
    Never,
    /// No request will, for whichever item.
    Stop,
}

/// An error that says whether to try again.
pub trait Retryable {
    /// Use of trying again after it.
    fn retry(&self) -> Retry;

    /// Reason of the failure, without the item's name.
    fn reason(&self) -> String;
}

/// Items on their way to being done.
#[derive(Debug)]
struct Attempts<T, E> {
    waiting: VecDeque<T>,
    /// Items that have failed in this round, for the next one.
    again: Vec<(T, E)>,
    left: Vec<(T, E)>,
    round: u32,
    is_stopped: bool,
}

impl<T, E: Retryable> Attempts<T, E> {
    fn new(items: Vec<T>) -> Self {
        Self {
            waiting: items.into(),
            again: Vec::new(),
            left: Vec::new(),
            round: 1,
            is_stopped: false,
        }
    }

    fn next(&mut self) -> Option<T> {
        self.waiting.pop_front().filter(|_| !self.is_stopped)
    }

    fn add_failure(&mut self, item: T, error: E) {
        let retry = error.retry();
        self.is_stopped |= retry == Retry::Stop;
        match retry {
            Retry::Later if self.round < ROUNDS => self.again.push((item, error)),
            _ => self.left.push((item, error)),
        }
    }

    /// Pause before the next round, if there is one.
    fn pause(&self) -> Option<Duration> {
        let goes_on = !self.again.is_empty() && !self.is_stopped;
        goes_on.then(|| FIRST_PAUSE * (1 << (self.round - 1)))
    }

    fn begin_round(&mut self) {
        self.round += 1;
        let again = std::mem::take(&mut self.again);
        self.waiting = again.into_iter().map(|(item, _)| item).collect();
    }

    /// Items that could not be done; where one stopped all others, that one alone.
    fn finish(mut self) -> Vec<(T, E)> {
        if self.is_stopped {
            self.left.retain(|(_, error)| error.retry() == Retry::Stop);
            self.left.truncate(1);
        } else {
            self.left.extend(self.again);
        }
        self.left
    }
}

/// Applies `work` to each item, `at_once` of them at a time, and returns those that could not be done.
/// `done` hears of each that was. Once `goes_on` says no, items under way are finished, and no other
/// begun.
pub async fn for_each<T, E, F>(
    items: Vec<T>,
    at_once: usize,
    work: impl Fn(T) -> F,
    done: impl Fn(&T),
    goes_on: &(dyn Fn() -> bool + Send + Sync),
) -> Vec<(T, E)>
where
    T: Clone,
    E: Retryable,
    F: Future<Output = Result<(), E>>,
{
    let mut attempts = Attempts::new(items);
    loop {
        let mut under_way = FuturesUnordered::new();
        loop {
            while under_way.len() < at_once
                && goes_on()
                && let Some(item) = attempts.next()
            {
                let work = work(item.clone());
                under_way.push(async move { (item, work.await) });
            }
            match under_way.next().await {
                None => break,
                Some((item, Ok(()))) => done(&item),
                Some((item, Err(error))) => attempts.add_failure(item, error),
            }
        }
        let Some(pause) = attempts.pause() else {
            return attempts.finish();
        };
        // Up to half of it more or less at random: others may try at the same moments.
        let until = tokio::time::Instant::now() + pause.mul_f64(rand::random_range(0.5..1.5));
        while goes_on() && tokio::time::Instant::now() < until {
            tokio::time::sleep(CANCEL_POLL).await;
        }
        if !goes_on() {
            return attempts.finish();
        }
        attempts.begin_round();
    }
}

/// Items that are left, with the reason of each. The text continues "failed to".
#[derive(Debug)]
pub struct Failures {
    what: String,
    items: Vec<(String, String)>,
}

impl Failures {
    /// Items that are left of `total` after `verb`, as `noun` calls them; None if nothing is.
    pub fn new<E: Retryable>(
        verb: &str,
        noun: &str,
        total: usize,
        left: impl IntoIterator<Item = (String, E)>,
    ) -> Option<Self> {
        let items: Vec<_> = left
            .into_iter()
            .map(|(name, error)| (name, error.reason()))
            .collect();
        let s = if total == 1 { "" } else { "s" };
        let what = format!("{verb} {} of {total} {noun}{s}", items.len());
        (!items.is_empty()).then_some(Self { what, items })
    }

    /// Outcome of many items: an error by itself where it is about the only one, or about all.
    ///
    /// # Errors
    /// When some are left.
    pub fn outcome<E: Retryable>(
        verb: &str,
        noun: &str,
        total: usize,
        mut left: Vec<(String, E)>,
        several: fn(Self) -> E,
    ) -> Result<(), E> {
        let is_about_all = |(_, error): &(String, E)| error.retry() == Retry::Stop;
        if total == 1 || left.first().is_some_and(is_about_all) {
            return left.pop().map_or(Ok(()), |(_, error)| Err(error));
        }
        Self::new(verb, noun, total, left).map_or(Ok(()), |left| Err(several(left)))
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let items = self.items.iter().take(MAX_SHOWN);
        let texts: Vec<String> = items
            .map(|(name, reason)| format!("{name}: {reason}"))
            .collect();
        write!(f, "{}: {}", self.what, texts.join("; "))?;
        match self.items.len().saturating_sub(MAX_SHOWN) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl std::error::Error for Failures {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;

    impl Retryable for Retry {
        fn retry(&self) -> Retry {
            *self
        }

        fn reason(&self) -> String {
            format!("{self:?}")
        }
    }

    /// Tries of each item, and items left, where they fail as `fate` says by item and try.
    fn run_attempts(
        items: u32,
        fate: impl Fn(u32, u32) -> Option<Retry>,
    ) -> (BTreeMap<u32, u32>, Vec<(u32, Retry)>) {
        let mut tries = BTreeMap::new();
        let mut attempts = Attempts::new((0..items).collect());
        let mut before = Duration::ZERO;
        loop {
            while let Some(item) = attempts.next() {
                let count = tries.entry(item).or_insert(0);
                *count += 1;
                if let Some(retry) = fate(item, *count) {
                    attempts.add_failure(item, retry);
                }
            }
            let Some(pause) = attempts.pause() else {
                return (tries, attempts.finish());
            };
            assert!(pause > before);
            before = pause;
            attempts.begin_round();
        }
    }

    #[test]
    fn one_that_fails_keeps_no_other_from_being_done_and_is_tried_again() {
        let fate = |item, tries| (item == 1 && tries < 3).then_some(Retry::Later);
        let (tries, failures) = run_attempts(100, fate);
        assert_eq!(failures, []);
        assert_eq!((tries[&0], tries[&1], tries[&99]), (1, 3, 1));
    }

    #[test]
    fn an_item_is_tried_a_few_times_and_one_that_cannot_pass_once() {
        let fate = |item, _| match item {
            1 => Some(Retry::Later),
            2 => Some(Retry::Never),
            _ => None,
        };
        let (tries, failures) = run_attempts(5, fate);
        assert_eq!(failures, [(2, Retry::Never), (1, Retry::Later)]);
        assert_eq!((tries[&1], tries[&2], tries[&4]), (ROUNDS, 1, 1));
    }

    #[test]
    fn where_no_item_can_be_done_the_first_failure_ends_it() {
        let fate = |item, _| match item {
            0 => Some(Retry::Later),
            _ => Some(Retry::Stop),
        };
        let (tries, failures) = run_attempts(100, fate);
        assert_eq!(failures, [(1, Retry::Stop)]);
        assert_eq!(tries.len(), 2);
    }

    #[tokio::test]
    async fn items_are_done_several_at_a_time_and_those_that_are_done_are_told() {
        let (under_way, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let done = AtomicUsize::new(0);
        let work = |item: u32| {
            let (under_way, most) = (&under_way, &most);
            async move {
                let now = under_way.fetch_add(1, Ordering::Relaxed) + 1;
                most.fetch_max(now, Ordering::Relaxed);
                tokio::task::yield_now().await;
                under_way.fetch_sub(1, Ordering::Relaxed);
                if item == 3 { Err(Retry::Never) } else { Ok(()) }
            }
        };
        let note = |_: &u32| {
            done.fetch_add(1, Ordering::Relaxed);
        };
        let failures = for_each((0..20).collect(), 4, work, note, &|| true).await;
        assert_eq!(failures, [(3, Retry::Never)]);
        assert_eq!((most.into_inner(), done.into_inner()), (4, 19));
    }

    #[tokio::test]
    async fn once_nobody_wants_any_more_no_other_item_is_begun_and_none_tried_again() {
        let (is_wanted, begun) = (AtomicBool::new(true), AtomicUsize::new(0));
        let work = |_: u32| {
            begun.fetch_add(1, Ordering::Relaxed);
            is_wanted.store(false, Ordering::Relaxed);
            async { Err(Retry::Later) }
        };
        let goes_on = || is_wanted.load(Ordering::Relaxed);
        let failures = for_each(vec![1, 2, 3], 1, work, |_| {}, &goes_on).await;
        assert_eq!((failures, begun.into_inner()), (vec![(1, Retry::Later)], 1));
    }

    #[test]
    fn failures_are_told_by_name_and_a_long_list_is_cut() {
        let failures = |count: usize| {
            let left = (0..count).map(|n| (format!("cf.x.{n}"), Retry::Later));
            Failures::new("remove", "container", 1004, left).map(|failures| failures.to_string())
        };
        assert_eq!(failures(0), None);
        assert_eq!(
            failures(2).as_deref(),
            Some("remove 2 of 1004 containers: cf.x.0: Later; cf.x.1: Later")
        );
        let many = failures(9).unwrap();
        assert!(many.ends_with("cf.x.4: Later; and 4 more"), "{many}");
    }
}
