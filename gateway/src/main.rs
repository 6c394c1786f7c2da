//! The program.

use std::process::ExitCode;

fn main() -> ExitCode {
    headgate::cli::run()
}
