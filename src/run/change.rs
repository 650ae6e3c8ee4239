//! Changes that a run can be given without changing the bits of what was trained. Pure.

use cuttlefish_core::data::Part;
use cuttlefish_core::math::Schedule;
use cuttlefish_core::protocol::Progress;
use cuttlefish_core::topology::spec::Spec;

/// Refusal of a change to a run, with the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another network, data or arithmetic.
    #[error(
        "only training.epochs, training.early_stopping and the grouping can change when a run is \
         resumed (start a new run for anything else)"
    )]
    OtherTraining,
    /// Another end of a training that has ended by itself.
    #[error(
        "early stopping ended the run's training, so its end cannot change any more (start a new run)"
    )]
    StoppedEarly,
    /// Another number of epochs, on which the learning rates of all of them depend.
    #[error(
        "the cosine schedule ends with the last epoch, so the number of epochs cannot change when \
         the run is resumed (start a new run)"
    )]
    Cosine,
    /// Fewer epochs than were begun.
    #[error("the run has begun epoch {begun}, so it cannot end after {epochs}")]
    Begun {
        /// The epoch that was begun last.
        begun: u32,
        /// The number of epochs that was asked for.
        epochs: u32,
    },
}

/// Refuses to give a run of the topology `recorded`, which is at `progress`, the topology `new`: more
/// epochs, another end and another grouping are possible, another network, data or arithmetic are not.
///
/// # Errors
/// Says why the bits would change.
pub fn check(recorded: &Spec, new: &Spec, progress: &Progress) -> Result<(), Refusal> {
    let mut same = new.clone();
    same.training.epochs = recorded.training.epochs;
    same.training.early_stopping = recorded.training.early_stopping;
    same.deployment = recorded.deployment.clone();
    if same != *recorded {
        return Err(Refusal::OtherTraining);
    }
    if same.training == new.training {
        return Ok(());
    }
    if progress.stopped_early {
        return Err(Refusal::StoppedEarly);
    }
    let epochs = new.training.epochs;
    let is_cosine = matches!(
        recorded.training.learning_rate_schedule,
        Schedule::Cosine { .. }
    );
    if is_cosine && epochs != recorded.training.epochs {
        return Err(Refusal::Cosine);
    }
    let finished = progress.history.last().map_or(0, |epoch| epoch.epoch);
    let is_begun =
        progress.part == Part::Validation || (progress.part == Part::Train && progress.index > 0);
    let begun = finished + u32::from(is_begun);
    if epochs < begun {
        return Err(Refusal::Begun { begun, epochs });
    }
    Ok(())
}
