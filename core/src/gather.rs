//! Gathering by neuron: what many units say of one tick, put together whatever the order.

/// The messages of one tick, as far as they have come.
pub enum Gather<T> {
    /// Some neurons are missing.
    Partial {
        seen: Vec<bool>,
        missing: usize,
        values: T,
    },
    /// Passed on; kept so that a duplicate is known as one.
    Done,
}

impl<T> Gather<T> {
    /// Gathering of `neurons` neurons, none of which has come; `values` is what theirs are added to.
    pub fn new(neurons: usize, values: T) -> Self {
        Self::Partial {
            seen: vec![false; neurons],
            missing: neurons,
            values,
        }
    }

    /// True if something of the `count` neurons from `first` has come already.
    pub fn has(&self, first: usize, count: usize) -> bool {
        match self {
            Self::Partial { seen, .. } => seen[first..first + count].iter().any(|&seen| seen),
            Self::Done => true,
        }
    }

    /// Adds the message of `count` neurons from `first`, unless some of it has come already; returns
    /// the whole when it was the last.
    pub fn add(&mut self, first: usize, count: usize, add: impl FnOnce(&mut T)) -> Option<T> {
        if self.has(first, count) {
            return None;
        }
        let Self::Partial {
            seen,
            missing,
            values,
        } = self
        else {
            return None;
        };
        add(values);
        seen[first..first + count].fill(true);
        *missing -= count;
        if *missing > 0 {
            return None;
        }
        match std::mem::replace(self, Self::Done) {
            Self::Partial { values, .. } => Some(values),
            Self::Done => None,
        }
    }

    /// Neurons that nothing has come of.
    pub fn missing(&self) -> usize {
        match self {
            Self::Partial { missing, .. } => *missing,
            Self::Done => 0,
        }
    }
}
