//! `latency.hlog`: every latency histogram as an interval of an HdrHistogram V2 interval log.
//!
//! HistogramLogAnalyzer, HistogramLogProcessor and the readers of every HdrHistogram library take it. Each interval has a tag,
//! `case/step/outcome/clock`, or `case/control/step/outcome/clock`; histograms of different outcomes may be merged.

use std::fmt::Write as _;

use super::schema::*;

/// What all steps together are called.
pub(super) const ATTEMPT: &str = "attempt";

/// Interval logs show an interval's greatest value in milliseconds.
const NANOS_PER_MILLI: f64 = 1e6;

/// The report's histograms as an interval log. Values are nanoseconds. An interval is as long as its case, and they follow one another.
pub fn hlog(report: &Report) -> String {
    let mut log = format!("#[Logged with {} {}]\n", report.tool.name, report.tool.version);
    log.push_str("#[Histogram log format version 1.3]\n");
    if let Ok(started) = report.run.started.parse::<jiff::Timestamp>() {
        let seconds = started.as_millisecond() as f64 / 1e3;
        let _ = writeln!(log, "#[StartTime: {seconds:.3} (seconds since epoch), {}]", report.run.started);
    }
    log.push_str("#[Tag: case/step/outcome/clock, values in nanoseconds, Interval_Max in milliseconds]\n");
    log.push_str("\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n");
    let mut start_ns = 0;
    for case in report.scenarios.iter().flat_map(|scenario| &scenario.cases) {
        let mut interval = |name: &str, race: &Race| {
            for (step, latency) in latencies(race) {
                for (outcome, clocks) in &latency.outcomes {
                    for (clock, measured) in [("own", &clocks.own), ("since-release", &clocks.since_release)] {
                        let tag = tag(&format!("{name}/{step}/{outcome}/{clock}"));
                        let (start, length) = (start_ns as f64 / 1e9, case.elapsed_ns as f64 / 1e9);
                        let max = measured.max.unwrap_or(0) as f64 / NANOS_PER_MILLI;
                        let _ = writeln!(log, "Tag={tag},{start:.3},{length:.3},{max:.6},{}", measured.histogram);
                    }
                }
            }
        };
        interval(&case.id, &case.race);
        for control in &case.controls {
            interval(&format!("{}/{}", control.case_id(case), control.name), &control.race);
        }
        start_ns += case.elapsed_ns;
    }
    log
}

/// The latencies of a race: of whole attempts, then of each step.
pub(super) fn latencies(race: &Race) -> impl Iterator<Item = (&str, &LatencyReport)> {
    let steps = race.steps.iter().map(|step| (step.name.as_str(), &step.latency));
    std::iter::once((ATTEMPT, &race.attempts)).chain(steps)
}

/// A tag may hold neither commas nor white space.
fn tag(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            ',' => ';',
            character if character.is_whitespace() || character.is_control() => '_',
            character => character,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    use super::*;
    use crate::judge::fixture::{TestCase, record};
    use crate::judge::{judge_control, judge_round};
    use crate::measure::Histogram;
    use crate::report::build::control_report;
    use crate::report::example;
    use crate::report::rows::round_row;

    #[test]
    fn the_log_of_the_example() {
        insta::assert_snapshot!("latency.hlog", hlog(&example::report()));
    }

    #[test]
    fn a_control_is_tagged_with_the_case_id_of_its_rows() {
        let case = TestCase::new(3).control(&["success"]);
        let case = case.change(|case| case.id = "race[backend=none]/no guard".to_owned()).build();
        let tally = example::raced(&case, &["3 success"]);
        let mut report = example::report();
        let control = &mut report.scenarios[0].cases[0].controls[0];
        *control = control_report(&case, &tally, &judge_control(&case, &tally));
        let record = record(&case, 0, "3 success");
        let row = round_row(&case, &record, &judge_round(&case, &record));
        let log = hlog(&report);
        assert!(log.contains(&format!("Tag={}/{}/attempt/success/own,", row[1], row[2].replace(' ', "_"))), "{log}");
        let table = crate::report::table::table(&report);
        assert!(table.contains(&format!("\n{},{},{},", row[0], row[1], row[2])), "{table}");
    }

    #[test]
    fn the_reader_of_the_hdrhistogram_crate_reads_every_interval_back() {
        let mut report = example::report();
        let case = &mut report.scenarios[0].cases[0];
        case.id = "race[backend=memory,note=a b]".to_owned();
        let (attempts, elapsed) = (case.race.attempts.outcomes.clone(), Duration::from_nanos(case.elapsed_ns));
        report.scenarios[0].cases.push(example::case(&["3 success"], &["3 success"]));
        let log = hlog(&report);
        let entries: Vec<LogEntry<'_>> = IntervalLogIterator::new(log.as_bytes()).map(Result::unwrap).collect();
        assert_eq!(entries[0], LogEntry::StartTime(Duration::from_secs(1_769_860_800)));
        let intervals: Vec<_> = entries
            .iter()
            .filter_map(|entry| match entry {
                LogEntry::Interval(interval) => Some(interval),
                _ => None,
            })
            .collect();
        assert_eq!(intervals.len(), entries.len() - 1);
        let first = intervals[0];
        assert_eq!(first.tag().unwrap().as_str(), "race[backend=memory;note=a_b]/attempt/success/own");
        assert_eq!((first.start_timestamp(), first.duration()), (Duration::ZERO, Duration::from_millis(1_234)));
        let read = Histogram::decode(first.encoded_histogram()).unwrap();
        assert_eq!(read.len(), attempts[&OutcomeWord::Success].own.count);
        assert!((first.max() - read.max().unwrap() as f64 / 1e6).abs() < 1e-6);
        assert_eq!(intervals.last().unwrap().start_timestamp(), elapsed);
        for interval in intervals {
            Histogram::decode(interval.encoded_histogram()).unwrap();
        }
    }
}
