//! The `switchboard` binary: arguments, terminal and exit codes. How things are done is the
//! business of the crates below.
#![forbid(unsafe_code)]

mod clock;
mod commands;
mod log_rate;
mod signals;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

use commands::Cli;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // clap's own words; a closed output is no reason to fail again.
            drop(error.print());
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match cli.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if terminal::is_closed_output(&error) => ExitCode::from(1),
        Err(error) => {
            terminal::complain(&error);
            ExitCode::from(terminal::status(&error))
        }
    }
}
