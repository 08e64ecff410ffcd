//! The command line. Only this module prints, reads the environment and chooses exit codes.

mod again;
mod args;
mod check;
mod ci;
mod clean;
mod compare;
mod compare_live;
mod judge;
mod limits;
mod list;
mod output;
mod panics;
mod progress;
mod run;
mod select;
mod show;
mod signals;
mod stored;
mod trend;

use std::ffi::OsString;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::judge::RunVerdict;
use crate::report::schema::{Comparison, Report};
use crate::secrets::hidden_in_lines;
use args::{Cli, Command, SchemaOf};
use output::Output;

/// Why a command ends without having done its work.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What is wrong and what to do, without `error: ` before it. Empty when everything has been said.
    message: String,
    /// How the process ends.
    verdict: RunVerdict,
}

impl Failure {
    pub(crate) fn new(verdict: RunVerdict, message: impl std::fmt::Display) -> Self {
        Failure { message: hidden_in_lines(&message.to_string()), verdict }
    }
}

/// Runs the command line `args` (the program's name first) and returns its exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let output = Output::detect();
    let args: Vec<OsString> = args.into_iter().collect();
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are not errors. clap's own code for errors is 2, which make uses for its own.
            let verdict = if error.use_stderr() { RunVerdict::Usage } else { RunVerdict::Pass };
            print_parse_error(&error, &args, &output);
            return verdict.exit_code().into();
        }
    };
    panics::install(output);
    // Rust's own code for panics is 101, which says nothing to those who read codes.
    let ended = std::panic::catch_unwind(AssertUnwindSafe(|| exec(cli.command, &output))).unwrap_or_else(|panic| {
        let message = panics::message(panic.as_ref());
        Err(Failure::new(
            RunVerdict::Fail,
            format!("deadheat itself failed: {message}; this is a bug: please report it"),
        ))
    });
    let verdict = ended.unwrap_or_else(|failure| {
        if !failure.message.is_empty() {
            output.error(&failure.message);
        }
        failure.verdict
    });
    let verdict = match output.lost() {
        None => verdict,
        Some(why) => {
            output.error(&format!("not all of the output could be written: {why}; make room, or send it elsewhere"));
            RunVerdict::decide([verdict, RunVerdict::Environment])
        }
    };
    verdict.exit_code().into()
}

/// Prints what the command line's parser says, help and version as well. It quotes arguments, of which some hold logins.
fn print_parse_error(error: &clap::Error, args: &[OsString], output: &Output) {
    let colour = if error.use_stderr() { output.error_style.colour } else { output.style.colour };
    let rendered = error.render();
    let mut text = if colour { rendered.ansi().to_string() } else { rendered.to_string() };
    let args: Vec<_> = args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let values = args.iter().filter_map(|arg| arg.split_once('=').map(|(_, value)| value));
    let mut quoted: Vec<&str> = args.iter().map(String::as_str).chain(values).collect();
    // A value is a part of its argument, which is therefore replaced first.
    quoted.sort_by_key(|quoted| std::cmp::Reverse(quoted.len()));
    for argument in quoted {
        let shown = run::shown(argument);
        if shown != argument {
            text = text.replace(argument, &shown);
        }
    }
    if error.use_stderr() { output.note(text.trim_end()) } else { output.own(&text) }
}

fn exec(command: Command, output: &Output) -> Result<RunVerdict, Failure> {
    match command {
        Command::Run(args) => run::exec(&args, output),
        Command::Check(args) => check::exec(&args, output),
        Command::Compare(args) => compare::exec(&args, output),
        Command::List(args) => list::exec(&args, output),
        Command::Show(args) => show::exec(&args, output),
        Command::Judge(args) => judge::exec(&args, output),
        Command::Trend(args) => trend::exec(&args, output),
        Command::Clean => clean::exec(output),
        Command::Schema(args) => schema(args.of, output),
        Command::Completions(args) => {
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut Cli::command(), "deadheat", &mut script);
            output.own(&String::from_utf8_lossy(&script));
            Ok(RunVerdict::Pass)
        }
    }
}

fn schema(of: SchemaOf, output: &Output) -> Result<RunVerdict, Failure> {
    let schema = match of {
        SchemaOf::Scenario => crate::scenario::schema::json_schema(&crate::driver::builtin()),
        SchemaOf::Comparison => schemars::schema_for!(Comparison).to_value(),
        SchemaOf::Report => schemars::schema_for!(Report).to_value(),
    };
    output.own(&format!("{schema:#}\n"));
    Ok(RunVerdict::Pass)
}
