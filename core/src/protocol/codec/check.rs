//! Checks of the values of single fields.

use super::{Error, tag};
use crate::protocol::{TickHeader, Work};

/// Work of a tick: training with this step and rate, or evaluation.
pub fn work_of(work: u8, step: u64, learning_rate: f32) -> Result<Work, Error> {
    match work {
        tag::EVALUATE => {
            unused("step", step)?;
            unused("learning rate", u64::from(learning_rate.to_bits()))?;
            Ok(Work::Evaluate)
        }
        tag::TRAIN if step == 0 => Err(Error::Zero { field: "step" }),
        tag::TRAIN if !learning_rate.is_finite() => Err(Error::LearningRate {
            found: learning_rate,
        }),
        tag::TRAIN => Ok(Work::Train {
            step,
            learning_rate,
        }),
        found => {
            let (field, max) = ("work", tag::TRAIN);
            Err(Error::Tag { field, max, found })
        }
    }
}

/// The commit point that a tick is marked as.
pub fn mark_of(marked: u8, mark: u64) -> Result<Option<u64>, Error> {
    match marked {
        tag::UNMARKED => unused("mark", mark).map(|()| None),
        tag::MARKED if mark == 0 => Err(Error::Zero { field: "mark" }),
        tag::MARKED => Ok(Some(mark)),
        found => {
            let (field, max) = ("marked", tag::MARKED);
            Err(Error::Tag { field, max, found })
        }
    }
}

/// Factor of bytes: finite and not 0, which would make numbers of no use.
pub fn scale_of(bits: u32) -> Result<f32, Error> {
    let found = f32::from_bits(bits);
    if found == 0.0 || !found.is_finite() {
        return Err(Error::Scale { found });
    }
    Ok(found)
}

/// Values are of the tick's batch.
pub fn of_batch(header: &TickHeader, found: u32) -> Result<(), Error> {
    let expected = header.batch.rows;
    if found != expected {
        return Err(Error::Rows { expected, found });
    }
    Ok(())
}

/// Checks a number that is from 1 to the limit.
pub fn within(field: &'static str, found: u32, limit: u32) -> Result<(), Error> {
    if found == 0 {
        return Err(Error::Zero { field });
    }
    at_most(field, u64::from(found), u64::from(limit))
}

/// An index among `count`.
pub fn below(field: &'static str, found: u32, count: u32) -> Result<(), Error> {
    if found < count {
        return Ok(());
    }
    let limit = u64::from(count.saturating_sub(1));
    let found = u64::from(found);
    Err(Error::TooLarge {
        field,
        limit,
        found,
    })
}

pub fn at_most(field: &'static str, found: u64, limit: u64) -> Result<(), Error> {
    if found > limit {
        return Err(Error::TooLarge {
            field,
            limit,
            found,
        });
    }
    Ok(())
}

/// A field that this message has no use for.
pub fn unused(field: &'static str, found: u64) -> Result<(), Error> {
    if found != 0 {
        return Err(Error::Unused { field, found });
    }
    Ok(())
}
