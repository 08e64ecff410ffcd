//! The command line's entry point: hands over to the library and returns its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    deadheat::cli::main(std::env::args_os())
}
