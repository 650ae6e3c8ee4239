//! The cases in which a rule of the protocol matters, one machine at a time.
//!
//! A run often ends with the right bits though a rule is broken, because whatever is computed
//! again has the same bits, or because the next rewind repairs it. So each rule is held here by
//! the messages that tell it from its absence.

mod synapse;
mod test_machine;
mod trainer;
mod unit;

use cuttlefish_core::data::{BatchRef, Part};
use cuttlefish_core::ids::{Address, CommitPoint, Tick};
use cuttlefish_core::protocol::{TickHeader, Work};

use crate::support::{Case, classifier, noise};

const HIDDEN: Address = Address::Unit { layer: 0, index: 0 };
const NOTHING: [&str; 0] = [];

/// 2 inputs, 2 hidden neurons, 2 outputs, a unit each; batches of 2 rows.
fn case() -> Case {
    Case::new(classifier(3, &[2, 2, 2]), noise(3, 2, 2, [8, 0, 2]))
}

fn header(tick: u64, mark: Option<u64>) -> TickHeader {
    TickHeader {
        tick: Tick(tick),
        work: Work::Train {
            step: tick,
            learning_rate: 0.1,
        },
        batch: BatchRef {
            part: Part::Train,
            epoch: 1,
            index: tick as u32 - 1,
            rows: 2,
        },
        mark,
    }
}

fn point(number: u64, tick: u64) -> CommitPoint {
    let tick = Tick(tick);
    CommitPoint { number, tick }
}
