//! `lictor-stack`: see `lictor_integration::cli`.

use std::env;
use std::io::{self, Write as _};
use std::process::ExitCode;

use lictor_integration::cli;

fn main() -> ExitCode {
    match cli::run(env::args_os().skip(1)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            // Nobody is left to tell that stderr is closed.
            let _closed = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}
