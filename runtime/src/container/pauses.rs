//! Pauses before something is tried again.

use std::time::Duration;

/// The pause after the first failure, but for chance.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause, but for chance, unless another one is given.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Pauses that double from [`FIRST_PAUSE`] to the longest one, each with up to half of it added or
/// taken at random, so that a thousand containers do not come back at the same moment.
pub(super) struct Pauses {
    next: Duration,
    longest: Duration,
}

impl Pauses {
    pub fn new(longest: Duration) -> Self {
        let next = FIRST_PAUSE;
        Self { next, longest }
    }

    /// The next pause; the one after it is twice as long.
    pub fn draw(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        pause.mul_f64(rand::random_range(0.5..1.5))
    }

    /// Begins with a short one again: the last try was a good one.
    pub fn start_over(&mut self) {
        self.next = FIRST_PAUSE;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_differ_by_chance() {
        let all: Vec<[Duration; 6]> = (0..200)
            .map(|_| {
                let mut pauses = Pauses::new(LONGEST_PAUSE);
                let first = [(); 5].map(|()| pauses.draw());
                pauses.start_over();
                let [a, b, c, d, e] = first;
                [a, b, c, d, e, pauses.draw()]
            })
            .collect();
        for (nth, middle) in [200, 400, 800, 1600, 2000, 200].into_iter().enumerate() {
            let pauses = BTreeSet::from_iter(all.iter().map(|pauses| pauses[nth].as_millis()));
            let (least, most) = (pauses.first().unwrap(), pauses.last().unwrap());
            assert!(
                *least >= middle / 2 && *most <= middle * 3 / 2,
                "{pauses:?}"
            );
            // Spread over most of what they may be.
            assert!(most - least > middle / 2, "{pauses:?}");
        }
    }
}
