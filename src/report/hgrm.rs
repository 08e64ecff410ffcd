//! `hgrm/*.hgrm`: latency distributions as percentile text, for the HdrHistogram plotter and for people who know it from wrk2.
//!
//! The plotter draws one curve for each file and names it after the file, and reads one distribution from a file. So there is one file for
//! each case and step, named after both; drop those to be compared on the plotter together. They hold the latency over all outcomes on
//! the step's own clock, which bounds and growth checks use too; other outcomes and the other clock are in `latency.hlog`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::measure::Histogram;

use super::hlog::latencies;
use super::load::LoadErrorKind;
use super::schema::*;
use super::sinks::hex;

/// Steps per half of the distance that is left to 100 %, as in the HdrHistogram tools.
const TICKS: u32 = 5;

/// File systems take names of up to 255 bytes; a number and the ending come after this many.
const STEM_LIMIT: usize = 150;

/// The unit that the plotter assumes.
const NANOS_PER_MILLI: f64 = 1e6;

/// One distribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hgrm {
    /// The file's name, distinct in its report.
    pub name: String,
    /// The percentile text, in milliseconds.
    pub text: String,
}

/// A file for each case and each of its steps that was measured. An error says that a histogram is damaged.
pub fn hgrm(report: &Report) -> Result<Vec<Hgrm>, LoadErrorKind> {
    let mut names = BTreeSet::new();
    let mut files = Vec::new();
    for case in report.scenarios.iter().flat_map(|scenario| &scenario.cases) {
        for (step, latency) in latencies(&case.race) {
            let measured = &latency.all.own;
            if measured.count == 0 {
                continue;
            }
            let histogram = Histogram::decode(&measured.histogram).map_err(|error| LoadErrorKind::Counts {
                case: case.id.clone(),
                what: format!("step `{step}`: {error}"),
            })?;
            let stem = file_stem(&format!("{}.{step}", case.id));
            let numbered = (2..).map(|number| format!("{stem}-{number}"));
            let name = std::iter::once(stem.clone()).chain(numbered).find(|name| names.insert(name.clone()));
            let name = format!("{}.hgrm", name.expect("there is always another number"));
            files.push(Hgrm { name, text: percentiles(&histogram) });
        }
    }
    Ok(files)
}

/// All distributions in one text, each below its name: for reading, not for the plotter.
pub fn sections(files: &[Hgrm]) -> String {
    files.iter().map(|Hgrm { name, text }| format!("# {name}\n{text}")).collect::<Vec<_>>().join("\n")
}

/// A name without characters that shells, URLs or file systems take for something else, and short enough for all of them: of a
/// longer one the beginning and the end, where the step is, with a part of its hash between them, which keeps it distinct.
fn file_stem(text: &str) -> String {
    let mut stem = String::new();
    for character in text.chars() {
        let safe = character.is_ascii_alphanumeric() || "._-".contains(character);
        let character = if safe { character } else { '-' };
        if character != '-' || !stem.ends_with('-') {
            stem.push(character);
        }
    }
    let stem = stem.replace("-.", ".");
    if stem.len() <= STEM_LIMIT {
        return stem;
    }
    let hash = hex(&Sha256::digest(text)[..4]);
    let kept = STEM_LIMIT - hash.len() - 2;
    let (begins, ends) = (kept * 2 / 3, stem.len() - (kept - kept * 2 / 3));
    // Every character of the stem is one byte.
    format!("{}-{hash}-{}", &stem[..begins], &stem[ends..])
}

fn percentiles(histogram: &Histogram) -> String {
    let millis = |nanos: f64| nanos / NANOS_PER_MILLI;
    let mut text = format!("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    for (value, quantile, count) in histogram.percentiles(TICKS) {
        let value = millis(value as f64);
        let _ = if quantile < 1.0 {
            writeln!(text, "{value:12.3} {quantile:2.12} {count:10} {:14.2}", 1.0 / (1.0 - quantile))
        } else {
            writeln!(text, "{value:12.3} {quantile:2.12} {count:10}")
        };
    }
    let (mean, deviation) = (millis(histogram.mean()), millis(histogram.standard_deviation()));
    let max = millis(histogram.max().unwrap_or(0) as f64);
    let (buckets, sub_buckets) = histogram.buckets();
    let _ = writeln!(text, "#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]");
    let _ = writeln!(text, "#[Max     = {max:12.3}, Total count    = {:12}]", histogram.len());
    let _ = writeln!(text, "#[Buckets = {buckets:12}, SubBuckets     = {sub_buckets:12}]");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn a_file_for_each_case_and_step() {
        let mut report = example::report();
        let again = report.scenarios[0].cases[0].clone();
        report.scenarios[0].cases.push(again);
        let files = hgrm(&report).unwrap();
        let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        let stem = "race-backend-memory";
        let expected = ["attempt", "append"].map(|step| format!("{stem}.{step}.hgrm"));
        let numbered = ["attempt", "append"].map(|step| format!("{stem}.{step}-2.hgrm"));
        assert_eq!(names, [expected, numbered].concat());
        insta::assert_snapshot!("hgrm", sections(&files[..2]));
    }

    #[test]
    fn a_long_case_id_gets_a_name_that_file_systems_take_and_no_other_case_has() {
        let long = |last: &str| file_stem(&format!("race[é{}{last}].append", "v".repeat(300)));
        let (one, other) = (long("1"), long("2"));
        assert_eq!((one.len(), one.is_ascii()), (STEM_LIMIT, true), "{one}");
        assert!(one.starts_with("race-vvv"), "{one}");
        assert!(one.ends_with("v1.append") && other.ends_with("v2.append"), "{one} {other}");
        let middle =
            |letter: &str| file_stem(&format!("race[a={}{letter}{}].append", "v".repeat(150), "v".repeat(150)));
        assert_ne!(middle("x"), middle("y"));
        assert_eq!(middle("x"), middle("x"));
    }

    #[test]
    fn percentiles_rise_to_the_maximum_once() {
        let mut histogram = Histogram::new();
        (1..=10_000).for_each(|value| histogram.record(value * 1_000));
        let text = percentiles(&histogram);
        let rows: Vec<Vec<f64>> = text
            .lines()
            .skip(2)
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split_whitespace().map(|field| field.parse().unwrap()).collect())
            .collect();
        assert!(rows.windows(2).all(|pair| pair[0][1] < pair[1][1] && pair[0][0] <= pair[1][0]), "{text}");
        let last = rows.last().unwrap();
        assert_eq!((last.len(), last[1], last[2]), (3, 1.0, 10_000.0), "{text}");
        assert!((last[0] - 10.0).abs() < 0.01, "{text}");
        assert!(text.contains("#[Mean    =        5.0"), "{text}");
    }

    #[test]
    fn a_single_value_has_a_distribution_too() {
        let mut histogram = Histogram::new();
        histogram.record(2_000_000);
        assert_eq!(percentiles(&histogram).lines().filter(|line| line.contains(" 1.000000000000 ")).count(), 1);
    }
}
