//! A reading of a machine and its process: one moment, which the page and the metrics both show.

use cuttlefish_core::view::View;

use super::About;
use super::process::Process;
use crate::host::RunSnapshot;
use crate::transport::LinkView;

/// Figures of a machine and its process at a moment.
pub struct Reading<'a> {
    /// Description of the machine.
    pub about: &'a About,
    /// View of the machine, or why there is none.
    pub view: Result<View, String>,
    /// Snapshot of the run, as this process has followed it.
    pub snapshot: RunSnapshot,
    /// Link to the broker; None where messages stay in the process.
    pub link: Option<LinkView>,
    /// Health, or what is wrong.
    pub health: Result<(), String>,
    /// The process.
    pub process: Process,
}

impl Reading<'_> {
    /// Snapshot of the run, where the machine is the trainer, which all events are reported to.
    pub fn run(&self) -> Option<&RunSnapshot> {
        matches!(self.view, Ok(View::Trainer(_))).then_some(&self.snapshot)
    }
}
