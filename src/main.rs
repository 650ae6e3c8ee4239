//! The `cuttlefish` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(cuttlefish::cli::main() as u8)
}
