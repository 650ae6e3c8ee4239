//! Results of the faults, for people and for programs. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::schedule::{FaultKind, ScheduledFault};
use crate::report::table::align;

/// One fault and its result.
#[derive(Clone, Debug)]
pub struct FaultOutcome {
    /// The fault.
    pub fault: ScheduledFault,
    /// Generation and ticks computed again when it began.
    pub(super) before: (u64, u64),
    /// Time until something started anew was there: a container's process, a broker that takes
    /// connections. Counted as `recovered` is.
    pub start: Option<Duration>,
    /// Time until the run had got over it; None if it had not.
    pub recovered: Option<Duration>,
    /// Ticks that had to be computed again, until the next fault.
    pub recomputed: u64,
    /// Generations that began, until the next fault.
    pub rewinds: u64,
    /// Reason why it was not carried out; None if it was.
    pub problem: Option<String>,
    /// True if all is as it was, as far as that is ours to do.
    pub is_undone: bool,
}

/// Reason why no more faults came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All that were asked for.
    Enough,
    /// The run came to its end.
    RunEnded,
    /// A person wanted no more.
    Interrupted,
    /// The run did not get over the last one.
    NotRecovered,
    /// The last one could not be undone.
    NotUndone,
}

/// All faults with their results.
#[derive(Clone, Debug)]
pub struct ChaosReport {
    /// The faults in order, with their results.
    pub outcomes: Vec<FaultOutcome>,
    /// Reason why no more came.
    pub ending: Ending,
    /// Time from the first to the last.
    pub took: Duration,
    /// The run's tick before and after.
    pub ticks: (u64, u64),
    /// Ticks from one commit point to the next.
    pub commit_ticks: Vec<u64>,
    /// Ticks that the rewind that lost most had to compute again.
    pub most_recomputed: u64,
    /// Most ticks within the time of a commit interval.
    pub busiest: u64,
}

/// Messages that actors refused, or that nobody of the run sends, since they were last started, by
/// actor; only those that had some.
pub type RefusalCounts = BTreeMap<String, u64>;

impl Ending {
    fn word(self) -> &'static str {
        match self {
            Self::Enough => "enough",
            Self::RunEnded => "run_ended",
            Self::Interrupted => "interrupted",
            Self::NotRecovered => "not_recovered",
            Self::NotUndone => "not_undone",
        }
    }
}

impl FaultOutcome {
    /// Line of text about it.
    pub fn line(&self, number: usize) -> String {
        let ScheduledFault {
            kind,
            target,
            lasts,
            ..
        } = &self.fault;
        let lasts = match lasts.is_zero() {
            true => String::new(),
            false => format!(" for {:.1} s", lasts.as_secs_f64()),
        };
        let result = match (&self.problem, self.recovered) {
            (Some(problem), _) => format!("not done: {problem}"),
            (None, None) => "not recovered yet".to_owned(),
            (None, Some(recovered)) => {
                let start = self.start.map_or(String::new(), |start| {
                    format!(" (start {:.1} s)", start.as_secs_f64())
                });
                format!(
                    "recovered in {:.1} s{start}, {} again, {}",
                    recovered.as_secs_f64(),
                    count_text(self.recomputed, "tick"),
                    count_text(self.rewinds, "rewind"),
                )
            }
        };
        format!("{number:>4}  {kind} {target}{lasts}: {result}")
    }

    /// Time of recovery beyond the start.
    fn beyond_start(&self) -> Option<Duration> {
        Some(
            self.recovered?
                .saturating_sub(self.start.unwrap_or_default()),
        )
    }

    fn document(&self) -> Value {
        json!({
            "kind": self.fault.kind,
            "target": self.fault.target,
            "lasts_seconds": self.fault.lasts.as_secs_f64(),
            "start_seconds": self.start.map(|time| time.as_secs_f64()),
            "recovered_seconds": self.recovered.map(|time| time.as_secs_f64()),
            "ticks_recomputed": self.recomputed,
            "rewinds": self.rewinds,
            "problem": self.problem,
        })
    }
}

fn count_text(n: u64, what: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{n} {what}{s}")
}

/// The one in the middle of `values`, the earlier one of two.
fn median<T: Ord + Copy>(mut values: Vec<T>) -> Option<T> {
    values.sort_unstable();
    let middle = values.len().checked_sub(1)? / 2;
    values.get(middle).copied()
}

impl ChaosReport {
    /// The outcomes by kind.
    fn by_kind(&self) -> BTreeMap<FaultKind, Vec<&FaultOutcome>> {
        let mut kinds: BTreeMap<FaultKind, Vec<&FaultOutcome>> = BTreeMap::new();
        for outcome in &self.outcomes {
            kinds.entry(outcome.fault.kind).or_default().push(outcome);
        }
        kinds
    }

    /// A table, with the other figures below; `again` is the command that repeats it.
    pub fn text(&self, again: &str, refused: &RefusalCounts) -> String {
        let heads = [
            "KIND",
            "FAULTS",
            "RECOVERED",
            "WORST",
            "START",
            "BEYOND",
            "AGAIN",
            "WORST",
            "REWINDS",
        ];
        let mut rows = vec![heads.map(str::to_owned).to_vec()];
        for (kind, outcomes) in self.by_kind() {
            let times = |time: fn(&FaultOutcome) -> Option<Duration>| -> Vec<Duration> {
                outcomes.iter().filter_map(|one| time(one)).collect()
            };
            let seconds = |time: Option<Duration>| {
                time.map_or("-".to_owned(), |time| {
                    format!("{:.1} s", time.as_secs_f64())
                })
            };
            let again: Vec<u64> = outcomes.iter().map(|one| one.recomputed).collect();
            let number = |n: Option<u64>| n.map_or("-".to_owned(), |n| n.to_string());
            let rewinds: u64 = outcomes.iter().map(|one| one.rewinds).sum();
            rows.push(vec![
                kind.to_string(),
                outcomes.len().to_string(),
                seconds(median(times(|one| one.recovered))),
                seconds(times(|one| one.recovered).into_iter().max()),
                seconds(median(times(|one| one.start))),
                seconds(median(times(FaultOutcome::beyond_start))),
                number(median(again.clone())),
                number(again.into_iter().max()),
                rewinds.to_string(),
            ]);
        }
        let n = self.outcomes.len() as u64;
        let undone = self.outcomes.iter().filter(|one| one.problem.is_some());
        let undone = match undone.count() {
            0 => String::new(),
            undone => format!(", {undone} of them not carried out"),
        };
        let commit = median(self.commit_ticks.clone())
            .map_or(String::new(), |ticks| format!(", a commit every {ticks}"));
        let again_at_most = match self.most_recomputed {
            0 => String::new(),
            ticks => format!(
                " and at most {} in its interval; at most {ticks} again in a rewind",
                self.busiest
            ),
        };
        let refused = match refused.values().sum() {
            0 => "no messages refused or foreign".to_owned(),
            total => {
                let by: Vec<String> = refused
                    .iter()
                    .map(|(who, n)| format!("{n} by {who}"))
                    .collect();
                format!(
                    "{} refused or foreign: {}",
                    count_text(total, "message"),
                    by.join(", ")
                )
            }
        };
        let ending = match self.ending {
            Ending::Enough => "",
            Ending::RunEnded => "; the run has ended",
            Ending::Interrupted => "; interrupted",
            Ending::NotRecovered => "; the run did not recover",
            Ending::NotUndone => "; the last one could not be undone",
        };
        format!(
            "{}{}{undone} in {:.0} s, from tick {} to {}{commit}{again_at_most}; {refused}{ending}\n\
             again with: {again}\n",
            align(&rows, 1),
            count_text(n, "fault"),
            self.took.as_secs_f64(),
            self.ticks.0,
            self.ticks.1,
        )
    }

    /// The report as one JSON document.
    pub fn document(&self, run: &str, seed: u64, refused: &RefusalCounts) -> Value {
        json!({
            "run": run,
            "seed": seed,
            "ending": self.ending.word(),
            "wall_seconds": self.took.as_secs_f64(),
            "first_tick": self.ticks.0,
            "last_tick": self.ticks.1,
            "ticks_between_commits": {
                "median": median(self.commit_ticks.clone()),
                "most": self.commit_ticks.iter().max(),
            },
            "most_ticks_in_a_commit_interval": self.busiest,
            "most_ticks_recomputed_in_a_rewind": self.most_recomputed,
            "messages_refused": refused,
            "faults": self.outcomes.iter().map(FaultOutcome::document).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(kind: FaultKind, recovered: Option<u64>, recomputed: u64) -> FaultOutcome {
        let fault = ScheduledFault {
            pause: Duration::ZERO,
            kind,
            target: "hidden.03".to_owned(),
            lasts: Duration::ZERO,
        };
        FaultOutcome {
            fault,
            before: (0, 0),
            start: recovered.map(|_| Duration::from_millis(700)),
            recovered: recovered.map(Duration::from_millis),
            recomputed,
            rewinds: 1,
            problem: None,
            is_undone: true,
        }
    }

    fn report() -> ChaosReport {
        let mut failed = outcome(FaultKind::Cut, None, 0);
        failed.problem = Some("failed to x".to_owned());
        ChaosReport {
            outcomes: vec![
                outcome(FaultKind::Kill, Some(1900), 34),
                failed,
                outcome(FaultKind::Kill, Some(2900), 1),
                outcome(FaultKind::Kill, Some(1700), 5),
            ],
            ending: Ending::RunEnded,
            took: Duration::from_secs(61),
            ticks: (10, 2000),
            commit_ticks: vec![100, 30, 110],
            most_recomputed: 34,
            busiest: 120,
        }
    }

    #[test]
    fn a_line_says_what_was_done_and_what_came_of_it() {
        let report = report();
        assert_eq!(
            report.outcomes[2].line(3),
            "   3  kill hidden.03: recovered in 2.9 s (start 0.7 s), 1 tick again, 1 rewind"
        );
        assert_eq!(
            report.outcomes[1].line(2),
            "   2  cut hidden.03: not done: failed to x"
        );
    }

    #[test]
    fn the_table_has_medians_and_the_worst() {
        let refused = RefusalCounts::from([("digit.1".to_owned(), 2)]);
        let expected = "\
KIND  FAULTS  RECOVERED  WORST  START  BEYOND  AGAIN  WORST  REWINDS
kill       3      1.9 s  2.9 s  0.7 s   1.2 s      5     34        3
cut        1          -      -      -       -      0      0        1
4 faults, 1 of them not carried out in 61 s, from tick 10 to 2000, a commit every 100 \
and at most 120 in its interval; at most 34 again in a rewind; \
2 messages refused or foreign: 2 by digit.1; the run has ended
again with: x
";
        assert_eq!(report().text("x", &refused), expected);
        let document = report().document("digits", 9, &refused);
        assert_eq!(document["messages_refused"]["digit.1"], 2);
        assert_eq!(document["ticks_between_commits"]["most"], 110);
        assert_eq!(document["faults"][1]["problem"], "failed to x");
    }
}
