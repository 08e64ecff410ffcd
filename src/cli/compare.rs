//! `deadheat compare`: two stored reports, or two variants raced in turns.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Failure;
use super::args::{CompareArgs, CompareFormat, FailOnWord};
use super::output::Output;
use crate::compare::{self, FailOn, Options, Side};
use crate::judge::RunVerdict;
use crate::report::lookup::{self, NewestRun};
use crate::report::schema::{Comparison, Report};
use crate::report::{Samples, load, load_samples};
use crate::statistics;

pub(crate) fn exec(args: &CompareArgs, output: &Output) -> Result<RunVerdict, Failure> {
    let comparison = match (&args.base, &args.head) {
        (Some(base), Some(head)) => stored(args, [base, head], output)?,
        _ => super::compare_live::exec(args, output)?,
    };
    output.data(&render(&comparison, args.format, output));
    Ok(comparison.verdict.into())
}

fn stored(args: &CompareArgs, names: [&String; 2], output: &Output) -> Result<Comparison, Failure> {
    let [base, head] = names.map(|name| read(name, &args.reports, output));
    let ((base, base_samples), (head, head_samples)) = (base?, head?);
    let options = options(args, args.seed.unwrap_or(statistics::SEED));
    let base = Side { name: names[0], report: &base, samples: &base_samples };
    let head = Side { name: names[1], report: &head, samples: &head_samples };
    let comparison = compare::compare(base, head, &options);
    if !comparison.cases.is_empty() {
        let metrics = comparison.cases.iter().flat_map(|case| &case.latency).filter(|metric| metric.samples > 0);
        known_thresholds(args, &metrics.map(|metric| metric.metric.clone()).collect())?;
    }
    Ok(comparison)
}

/// A threshold of a metric that no case has would hold nothing to anything.
pub(super) fn known_thresholds(args: &CompareArgs, metrics: &BTreeSet<String>) -> Result<(), Failure> {
    match args.threshold.iter().find(|(metric, _)| !metrics.contains(metric)) {
        None => Ok(()),
        Some((metric, _)) => {
            let known: Vec<&str> = metrics.iter().map(String::as_str).collect();
            let known = known.join(", ");
            let message =
                format!("`--threshold {metric}=…` names a metric that no compared case has; there are {known}");
            Err(Failure::new(RunVerdict::Usage, message))
        }
    }
}

/// A run by its path, or the newest of a branch, with its rounds.
fn read(name: &str, reports: &Path, output: &Output) -> Result<(Report, Samples), Failure> {
    let usage = |error: &dyn std::fmt::Display| Failure::new(RunVerdict::Usage, error);
    let mut path = PathBuf::from(name);
    if !path.exists() {
        let NewestRun { folder, unfinished } = lookup::newest(reports, name).map_err(|error| usage(&error))?;
        output.note(&newest(name, &folder, &unfinished));
        path = folder;
    }
    let report = load(&path).map_err(|error| usage(&error))?;
    let samples = load_samples(&path, &report).map_err(|error| usage(&error))?;
    Ok((report, samples))
}

/// Which run is taken for a branch, and which newer ones are not.
fn newest(branch: &str, folder: &Path, unfinished: &[PathBuf]) -> String {
    let unfinished: Vec<String> = unfinished.iter().map(|folder| folder.display().to_string()).collect();
    let folder = folder.display();
    match unfinished.len() {
        0 => format!("`{branch}` is a branch; its newest run is {folder}"),
        1 => format!("`{branch}` is a branch; its newest finished run is {folder}; {} did not finish", unfinished[0]),
        _ => {
            format!(
                "`{branch}` is a branch; its newest finished run is {folder}; these did not finish: {}",
                unfinished.join(", ")
            )
        }
    }
}

pub(super) fn options(args: &CompareArgs, seed: u64) -> Options {
    let fail_on = args.fail_on.iter().map(|word| match word {
        FailOnWord::Regression => FailOn::Regression,
        FailOnWord::Change => FailOn::Change,
        FailOnWord::Inconclusive => FailOn::Inconclusive,
    });
    Options {
        thresholds: args.threshold.iter().cloned().collect(),
        fail_on: fail_on.collect(),
        force: args.force,
        seed,
    }
}

fn render(comparison: &Comparison, format: CompareFormat, output: &Output) -> String {
    match format {
        CompareFormat::Terminal => output.style.screened(&compare::terminal::render(comparison, output.style)),
        CompareFormat::Markdown => compare::markdown::render(comparison),
        CompareFormat::Html => compare::html::render(comparison),
        CompareFormat::Json => {
            let json = serde_json::to_string_pretty(comparison).expect("comparisons have text keys only");
            format!("{json}\n")
        }
    }
}
