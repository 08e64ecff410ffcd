//! Reads reports back, and believes nothing that does not add up.

use std::path::{Path, PathBuf};

use super::consistency::{check_case, check_run};
use super::schema::{KIND, Report, SCHEMA, SchemaVersion};

/// The report's name in a run's folder.
pub const REPORT_FILE: &str = "report.json";

/// A report could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the report `{}`: {kind}", path.display())]
pub struct LoadError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub kind: LoadErrorKind,
}

/// Why a report could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadErrorKind {
    /// There is no such file, or folder with a `report.json`.
    #[error("there is no such file; name a report.json, or a run's folder that holds one")]
    Missing,
    /// It exists and cannot be read.
    #[error("{0}")]
    Io(std::io::Error),
    /// It ends too early.
    #[error("it ends in the middle, at line {line}; the copy is incomplete, so fetch it again or use another run")]
    Truncated {
        /// Where it ends.
        line: usize,
    },
    /// It is not a deadheat report.
    #[error("it is not a deadheat report: {0}; name a report.json, or a run's folder that holds one")]
    WrongKind(String),
    /// A newer version wrote it.
    #[error(
        "its schema is {found}, but this deadheat reads up to {supported}; use the version that wrote it ({tool}), or a newer one"
    )]
    Newer {
        /// The report's schema.
        found: SchemaVersion,
        /// The newest schema that this build reads.
        supported: SchemaVersion,
        /// The program that wrote it.
        tool: String,
    },
    /// It is a report, but not as its schema says.
    #[error("it does not follow its schema: {0}; it was changed or damaged, so use another run")]
    Malformed(String),
    /// Its counts do not add up.
    #[error("its counts do not add up in `{case}`: {what}; it was changed or damaged, so use another run")]
    Counts {
        /// The case.
        case: String,
        /// Which numbers.
        what: String,
    },
}

impl LoadErrorKind {
    /// What the reader of JSON says of a text that is none, or not all of one.
    pub(super) fn not_json(error: &serde_json::Error) -> Self {
        if error.is_eof() {
            LoadErrorKind::Truncated { line: error.line() }
        } else {
            LoadErrorKind::WrongKind(format!("it is not JSON ({error})"))
        }
    }
}

/// Reads a report: `path` is the file, the page beside it, or the run's folder. Counts are checked again. A newer minor version is read: it only adds.
pub fn load(path: &Path) -> Result<Report, LoadError> {
    let path = report_file(path);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(LoadError { path, kind: LoadErrorKind::Missing });
        }
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            let kind = LoadErrorKind::WrongKind("it is not text".to_owned());
            return Err(LoadError { path, kind });
        }
        Err(error) => return Err(LoadError { path, kind: LoadErrorKind::Io(error) }),
    };
    parse(&text).map_err(|kind| LoadError { path, kind })
}

fn report_file(path: &Path) -> PathBuf {
    // A run prints the name of its page, and people paste that.
    let is_page = path.extension().is_some_and(|extension| extension == "html") && path.is_file();
    if path.is_dir() {
        path.join(REPORT_FILE)
    } else if is_page {
        path.with_file_name(REPORT_FILE)
    } else {
        path.to_owned()
    }
}

/// Reads the text of a report. What it is and which version is asked first, so that the message is about that.
pub fn parse(text: &str) -> Result<Report, LoadErrorKind> {
    let document: serde_json::Value = serde_json::from_str(text).map_err(|error| LoadErrorKind::not_json(&error))?;
    match document.get("kind").and_then(|kind| kind.as_str()) {
        Some(KIND) => {}
        Some(other) => return Err(LoadErrorKind::WrongKind(format!("its `kind` is `{other}`, not `{KIND}`"))),
        None => return Err(LoadErrorKind::WrongKind(format!("it has no `kind` that says `{KIND}`"))),
    }
    let schema = document.get("schema").and_then(|schema| schema.as_str()).unwrap_or_default();
    let found: SchemaVersion = schema.parse().map_err(LoadErrorKind::Malformed)?;
    if found.major > SCHEMA.major {
        let tool = |key: &str| document["tool"][key].as_str().unwrap_or("?").to_owned();
        let tool = format!("{} {}", tool("name"), tool("version"));
        return Err(LoadErrorKind::Newer { found, supported: SCHEMA, tool });
    }
    let report: Report =
        serde_json::from_value(document).map_err(|error| LoadErrorKind::Malformed(error.to_string()))?;
    for case in report.scenarios.iter().flat_map(|scenario| &scenario.cases) {
        check_case(case)?;
    }
    check_run(&report)?;
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Histogram;
    use crate::report::build::distribution;
    use crate::report::example;
    use crate::report::schema::*;
    use crate::report::sinks::to_json;

    fn error(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    /// What loading says of the example report after `change`.
    fn tampered(change: impl FnOnce(&mut Race)) -> String {
        let mut report = example::report();
        change(&mut report.scenarios[0].cases[0].race);
        error(&to_json(&report))
    }

    #[test]
    fn a_report_round_trips_and_its_bytes_are_stable() {
        let report = example::report();
        let json = to_json(&report);
        assert_eq!(parse(&json).unwrap(), report);
        assert_eq!(json, to_json(&example::report()));
        insta::assert_snapshot!("report.json", json);
    }

    #[test]
    fn every_version_ever_written_can_be_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reports");
        let report = load(&folder.join("v1.0.json")).unwrap();
        assert_eq!(report.schema, SchemaVersion { major: 1, minor: 0 });
        assert_eq!(report.scenarios[0].cases[0].race.counts[&OutcomeWord::Conflict], 6);
        let report = load(&folder.join("v1.1.json")).unwrap();
        assert_eq!(report.schema, SchemaVersion { major: 1, minor: 1 });
        assert_eq!(report.scenarios[0].cases[0].race.expectations[0].place.as_deref(), Some("race.toml:9:1"));
        let report = load(&folder.join("v1.2.json")).unwrap();
        assert_eq!(report.schema, SchemaVersion { major: 1, minor: 2 });
        let case = &report.scenarios[0].cases[0];
        assert_eq!(case.controls[0].case_id(case), case.id);
        let report = load(&folder.join("v1.3.json")).unwrap();
        assert_eq!(report.schema, SchemaVersion { major: 1, minor: 3 });
        assert_eq!(report.scenarios[0].cases[0].controls[0].case.as_deref(), Some("race[backend=none]"));
        assert_eq!((report.not_raced.len(), report.error.is_some()), (1, true));
        let report = load(&folder.join("v1.4.json")).unwrap();
        assert_eq!(report.schema, SchemaVersion { major: 1, minor: 4 });
        assert_eq!(report.scenarios[0].cases[0].race.kept[1].since_setup, Some(1));
        let race = &report.scenarios[0].cases[1].race;
        assert_eq!((race.head_starts.as_ref().map(|it| it.rounds), race.makespan.count), (Some(6), 18));
        let report = load(&folder.join("v2.0.json")).unwrap();
        assert_eq!(report.schema, SCHEMA);
        let attempt = &report.scenarios[0].cases[0].race.kept[0].attempts[1];
        assert_eq!((&attempt.cause, attempt.steps[0].end), (&Some(CauseWord::Server), Some(EndWord::Fail)));
        assert!(attempt.steps[0].request.is_some());
    }

    #[test]
    fn a_later_minor_version_is_read_and_what_is_unknown_of_it_is_shown_as_it_is() {
        let mut report = example::report();
        report.schema.minor += 1;
        let json = to_json(&report).replace("\"conflict\"", "\"went-fishing\"").replace("\"server\"", "\"quota\"");
        let read = parse(&json).unwrap();
        let case = &read.scenarios[0].cases[0];
        let attempt = &case.race.kept[0].attempts[1];
        assert_eq!(
            (attempt.outcome.as_str(), &attempt.cause),
            ("went-fishing", &Some(CauseWord::Other("quota".to_owned())))
        );
        assert_eq!(to_json(&read), json);
        assert!(crate::report::html::render(&read).contains("went-fishing"));
        let verdict = json.replacen("\"verdict\": \"pass\"", "\"verdict\": \"splendid\"", 1);
        assert!(error(&verdict).contains("unknown variant `splendid`"), "what decides exit codes is closed");
    }

    #[test]
    fn the_folder_the_file_and_the_page_name_the_same_report() {
        let folder = tempfile::tempdir().unwrap();
        let report = example::report();
        std::fs::write(folder.path().join(REPORT_FILE), to_json(&report)).unwrap();
        std::fs::write(folder.path().join("report.html"), "<!doctype html>").unwrap();
        for named in ["", REPORT_FILE, "report.html"] {
            assert_eq!(load(&folder.path().join(named)).unwrap(), report);
        }
    }

    #[test]
    fn what_cannot_be_read_is_said_with_a_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let missing = load(folder.path()).unwrap_err().to_string();
        assert!(missing.contains("report.json`: there is no such file; name a report.json"), "{missing}");
        std::fs::write(folder.path().join(REPORT_FILE), [0xff, 0xfe]).unwrap();
        assert!(load(folder.path()).unwrap_err().to_string().contains("it is not text"));

        let json = to_json(&example::report());
        assert!(error(&json[..json.len() / 2]).starts_with("it ends in the middle, at line "));
        assert!(error("").starts_with("it ends in the middle, at line 1"));
        assert!(error("success,1").starts_with("it is not a deadheat report: it is not JSON"));
        assert!(error("{}").starts_with("it is not a deadheat report: it has no `kind`"));
        assert!(error(r#"{"kind": "hyperfine"}"#).contains("its `kind` is `hyperfine`, not `deadheat-report`"));
        assert!(
            error(r#"{"kind": "deadheat-report", "schema": "1.0"}"#).starts_with("it does not follow its schema: ")
        );
        assert_eq!(
            error(&json.replace(r#""schema": "2.0""#, r#""schema": "3.3""#)),
            "its schema is 3.3, but this deadheat reads up to 2.0; use the version that wrote it (deadheat 0.1.0), or a newer one"
        );
    }

    #[test]
    fn a_newer_minor_version_is_read_and_what_it_adds_is_ignored() {
        let json = to_json(&example::report());
        let newer = json.replacen(r#""schema": "2.0","#, r#""schema": "2.7", "added": [1],"#, 1);
        assert_eq!(parse(&newer).unwrap().schema.minor, 7);
    }

    #[test]
    fn counts_that_do_not_add_up_are_refused() {
        let dropped = tampered(|race| *race.counts.get_mut(&OutcomeWord::Conflict).unwrap() -= 1);
        assert!(dropped.contains("`race[backend=memory]`: the outcomes are 8, but must be 9"), "{dropped}");
        let doubled = tampered(|race| *race.counts.get_mut(&OutcomeWord::Success).unwrap() += 1);
        assert!(doubled.contains("the outcomes are 10, but must be 9"), "{doubled}");
        let swapped = tampered(|race| race.counts = [(OutcomeWord::Success, 6), (OutcomeWord::Conflict, 3)].into());
        assert!(swapped.contains("the attempts measured that ended `success` are 3, but must be 6"), "{swapped}");
        let skipped = tampered(|race| race.invariants[0].held -= 1);
        assert!(skipped.contains("the results of invariant `one event stored` are 2, but must be 3"), "{skipped}");
        let kept = tampered(|race| drop(race.kept[0].attempts.pop()));
        assert!(kept.contains("the attempts of round 0 are 2, but must be 3"), "{kept}");
    }

    /// Rounds with a head start, with some successes and two conflicts for each round.
    fn head_starts(rounds: u64, success: u64) -> HeadStartsReport {
        let counts = [(OutcomeWord::Success, success), (OutcomeWord::Conflict, 2 * rounds)];
        HeadStartsReport { rounds, counts: counts.into() }
    }

    #[test]
    fn numbers_of_rounds_and_expectations_that_do_not_agree_are_refused() {
        let refused = |change: fn(&mut Race), wanted: &str| {
            let said = tampered(change);
            assert!(said.contains(wanted), "wanted: {wanted}\n{said}");
        };
        refused(|race| race.rounds_failed = 1, "1 rounds failed, but no first one is named");
        refused(|race| race.first_failed = Some(1), "round 1 is the first failed one, but none failed");
        refused(|race| (race.rounds_failed, race.first_failed) = (1, Some(7)), "round 7 failed, but only 3 were raced");
        refused(|race| race.rounds_inconclusive = 4, "failed and inconclusive rounds are 4, but must be at most 3");
        refused(
            |race| (race.rounds_inconclusive, race.failure_bound) = (1, Some(0.1)),
            "`failure_bound` is given, but not all rounds passed",
        );
        let left_out = "the attempts measured are 9, but must be 6";
        refused(|race| race.head_starts = Some(head_starts(1, 1)), left_out);
        refused(
            |race| race.head_starts = Some(head_starts(1, 2)),
            "the outcomes of rounds with a head start are 4, but must be 3",
        );
        refused(
            |race| race.head_starts = Some(head_starts(4, 4)),
            "the rounds with a head start are 4, but must be at most 3",
        );
        refused(
            |race| race.barriers[0].released_with_head_start = 1,
            "the releases of barrier `start` are 4, but must be 3",
        );
        refused(|race| race.expectations[0].total += 1, "that ended `success` expected are 4, but must be 3");
        refused(|race| race.expectations[0].least = 2, "the least of `success` expected, over all rounds, are 6");
        refused(|race| race.expectations[0].most = 0, "that ended `success` expected are 3, but must be at most 0");
        refused(|race| race.expectations[0].most = 9, "the most of `success` expected are 9, but must be at most 3");
        refused(
            |race| race.expectations[0].rounds_broken = 1,
            "that broke `success` expected are 1, but must be at most 0",
        );
        refused(
            |race| race.kept[0].verdict = VerdictWord::Fail,
            "failed rounds that were kept are 1, but must be at most 0",
        );
        refused(|race| race.kept[0].round = 3, "round 3 was kept, but only 3 were raced");
        refused(|race| race.kept[0].attempts[0].outcome = OutcomeWord::Busy, "the attempts of round 0 that ended `");
        refused(
            |race| race.groups[0].counts = [(OutcomeWord::Success, 6), (OutcomeWord::Conflict, 3)].into(),
            "the attempts of all groups that ended `success` are 6, but must be 3",
        );
        let mut report = example::failing_report();
        report.scenarios[0].cases[0].race.kept[1].verdict = VerdictWord::Pass;
        assert!(error(&to_json(&report)).contains("the verdict of round 1 is `pass`, but must be `fail`"));
    }

    #[test]
    fn a_verdict_that_glosses_over_is_refused() {
        let refused = |change: fn(&mut Report), wanted: &str| {
            let mut report = example::failing_report();
            assert_eq!(parse(&to_json(&report)).unwrap(), report);
            change(&mut report);
            let said = error(&to_json(&report));
            assert!(said.contains(wanted), "wanted: {wanted}\n{said}");
        };
        refused(
            |report| report.verdict = RunVerdictWord::Pass,
            "main-1a2b3c4`: its verdict is `pass`, but must be `fail`, as that of a case",
        );
        refused(
            |report| report.verdict = RunVerdictWord::Inconclusive,
            "its verdict is `inconclusive`, but must be `fail`",
        );
        refused(
            |report| report.scenarios[0].cases[0].verdict = VerdictWord::Pass,
            "the verdict is `pass`, but must be `fail`, since rounds failed",
        );
        refused(
            |report| report.scenarios[0].cases[1].verdict = VerdictWord::Pass,
            "the verdict is `pass`, but must not be, since it has reasons",
        );
        refused(
            |report| report.scenarios[0].cases[1].reasons.clear(),
            "the verdict is `inconclusive`, but no reason is given",
        );
        refused(
            |report| report.scenarios[0].cases[1].controls[0].verdict = ControlVerdictWord::Survived,
            "the verdict is `inconclusive`, but must be `fail`, since a control was not caught",
        );
        let mut report = example::report();
        report.scenarios[0].growth[0].verdict = VerdictWord::Fail;
        assert!(error(&to_json(&report)).contains("its verdict is `pass`, but must be `fail`"));
        let bound = tampered(|race| race.latency_bounds[0].verdict = VerdictWord::Fail);
        assert!(bound.contains("must be `fail`, since a latency bound failed"), "{bound}");
    }

    #[test]
    fn quantiles_that_are_not_those_of_their_histogram_are_refused() {
        let refused = |change: fn(&mut Distribution), wanted: &str| {
            let (own, makespan) =
                (tampered(|race| change(&mut race.attempts.all.own)), tampered(|race| change(&mut race.makespan)));
            assert!(own.contains(wanted) && makespan.contains(wanted), "wanted: {wanted}\n{own}\n{makespan}");
        };
        refused(|values| values.min = Some(1), "`min` is 1, but must be ");
        refused(|values| values.p50 = values.p50.map(|value| value + 1), "`p50` is ");
        refused(|values| values.p90 = Some(9), "`p90` is 9, but must be absent by the histogram beside it");
        refused(|values| values.p99 = Some(9), "`p99` is 9");
        refused(|values| values.p999 = Some(9), "`p999` is 9");
        refused(|values| values.max = None, "`max` is absent, but must be ");
    }

    #[test]
    fn a_histogram_merged_twice_is_refused() {
        let merged_twice = tampered(|race| {
            let success = race.attempts.outcomes.get_mut(&OutcomeWord::Success).unwrap();
            let mut histogram = Histogram::decode(&success.own.histogram).unwrap();
            histogram.merge(&histogram.clone());
            success.own.histogram = histogram.encode();
        });
        assert!(merged_twice.contains("a histogram holds 6 values, but 3 were counted"), "{merged_twice}");
        let counted_too = tampered(|race| {
            let all = &mut race.attempts.all;
            for clock in [&mut all.own, &mut all.since_release] {
                let mut histogram = Histogram::decode(&clock.histogram).unwrap();
                histogram.merge(&histogram.clone());
                *clock = distribution(&histogram);
            }
        });
        assert!(counted_too.contains("attempts: 9 operations by outcome, but 18 in all"), "{counted_too}");
        assert!(tampered(|race| race.overlap.histogram.clear()).contains("overlaps: not a base64 HdrHistogram V2"));
    }
}
