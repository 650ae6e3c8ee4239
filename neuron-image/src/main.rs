//! The program in the containers of a run: a unit, a synapse or the trainer, or the store that a
//! run brings along.

use std::process::ExitCode;

fn main() -> ExitCode {
    cuttlefish_runtime::container::main()
}
