//! `deadheat show`: a stored report in another form.

use std::path::Path;

use super::args::{Form, ShowArgs};
use super::output::Output;
use super::{Failure, stored};
use crate::judge::RunVerdict;
use crate::report::hgrm::{self, Hgrm};
use crate::report::summary::{LIMIT, summary};
use crate::report::terminal::{self, Style};
use crate::report::{LoadError, hlog, html, junit, sinks, table};

pub(crate) fn exec(args: &ShowArgs, output: &Output) -> Result<RunVerdict, Failure> {
    let (path, report) = stored::load(args.report.as_deref())?;
    let style = if args.out.is_some() { Style { colour: false } } else { output.style };
    let text = match args.format {
        Form::Terminal => terminal::whole(&report, style),
        Form::Html => html::render(&report),
        Form::Markdown => summary(&report, LIMIT),
        Form::Junit => junit::junit(&report),
        Form::Csv => table::table(&report),
        Form::Hlog => hlog::hlog(&report),
        Form::Hgrm => {
            let files =
                hgrm::hgrm(&report).map_err(|kind| Failure::new(RunVerdict::Usage, LoadError { path, kind }))?;
            if let Some(folder) = &args.out {
                return write_all(folder, &files);
            }
            hgrm::sections(&files)
        }
        Form::Json => sinks::to_json(&report),
    };
    match &args.out {
        Some(file) => write(file, &text)?,
        None => output.data(&text),
    }
    Ok(RunVerdict::Pass)
}

fn write_all(folder: &Path, files: &[Hgrm]) -> Result<RunVerdict, Failure> {
    std::fs::create_dir_all(folder).map_err(|error| cannot_write(folder, &error))?;
    files.iter().try_for_each(|Hgrm { name, text }| write(&folder.join(name), text))?;
    Ok(RunVerdict::Pass)
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(file, text).map_err(|error| cannot_write(file, &error))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    let message = format!("cannot write `{}`: {error}; choose another place with `--out`", path.display());
    Failure::new(RunVerdict::Environment, message)
}
