//! Reads reports back, and believes nothing that does not add up.

use std::path::{Path, PathBuf};

use crate::check::{RunVerdict, Verdict};
use crate::measure::Histogram;
use crate::outcome::OutcomeKind;

use super::build::distribution;
use super::schema::{
    CaseReport, ClocksReport, ControlReport, ControlVerdictWord, Counts, Distribution, ExpectationRow, KIND,
    LatencyBoundReport, LatencyReport, OutcomeWord, Race, Report, RoundReport, SCHEMA, SchemaVersion, VerdictWord,
};

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

/// Whether the numbers of a case, and of its controls, agree with each other and with its verdict.
pub(super) fn check_case(case: &CaseReport) -> Result<(), LoadErrorKind> {
    let of_controls = case.controls.iter().map(|control| (format!("{}/{}", case.id, control.name), &control.race));
    for (case, race) in std::iter::once((case.id.clone(), &case.race)).chain(of_controls) {
        check_race(race).map_err(|what| LoadErrorKind::Counts { case, what })?;
    }
    check_verdict(case).map_err(|what| LoadErrorKind::Counts { case: case.id.clone(), what })
}

/// A run is as bad as its worst case.
fn check_run(report: &Report) -> Result<(), LoadErrorKind> {
    let scenarios = &report.scenarios;
    let found = RunVerdict::from(report.verdict);
    let cases = scenarios.iter().flat_map(|scenario| &scenario.cases).map(|case| case.verdict);
    // What ended a run before its time may be all that its verdict tells: growth is then not judged, or judged in vain.
    let growth = scenarios.iter().flat_map(|scenario| &scenario.growth).map(|growth| growth.verdict);
    let growth = growth.filter(|_| found == RunVerdict::Pass);
    let causes = cases.chain(growth).map(|verdict| RunVerdict::from(Verdict::from(verdict)));
    let wanted = RunVerdict::decide(causes.chain([found]));
    if found != wanted {
        let what =
            format!("its verdict is `{found}`, but must be `{wanted}`, as that of a case or of a cost's growth is");
        return Err(LoadErrorKind::Counts { case: report.run.id.clone(), what });
    }
    Ok(())
}

/// What rounds, controls and bounds say of a case, it must not gloss over.
fn check_verdict(case: &CaseReport) -> Result<(), String> {
    let CaseReport { race, verdict, .. } = case;
    let is = |wanted: VerdictWord| move |bound: &LatencyBoundReport| bound.verdict == wanted;
    let surviving =
        |control: &ControlReport| matches!(control.verdict, ControlVerdictWord::Survived | ControlVerdictWord::Invalid);
    let missed = race.sometimes.iter().any(|check| check.rounds == 0);
    let failed = [
        (race.rounds_failed > 0, "rounds failed"),
        (race.latency_bounds.iter().any(is(VerdictWord::Fail)), "a latency bound failed"),
        (case.controls.iter().any(surviving), "a control was not caught"),
        (missed && race.rounds >= race.rounds_planned, "no round showed an outcome of `sometimes`"),
    ];
    let doubted = [
        (race.rounds_inconclusive > 0, "rounds were inconclusive"),
        (race.latency_bounds.iter().any(is(VerdictWord::Inconclusive)), "a latency bound was inconclusive"),
        (race.rounds < race.rounds_planned, "not all rounds were raced"),
        (!case.reasons.is_empty(), "it has reasons"),
    ];
    let word = |verdict: VerdictWord| Verdict::from(verdict);
    let first = |causes: &[(bool, &'static str)]| causes.iter().find(|(holds, _)| *holds).map(|(_, cause)| *cause);
    if let Some(cause) = first(&failed).filter(|_| *verdict != VerdictWord::Fail) {
        return Err(format!("the verdict is `{}`, but must be `{}`, since {cause}", word(*verdict), Verdict::Fail));
    }
    if let Some(cause) = first(&doubted).filter(|_| *verdict == VerdictWord::Pass) {
        return Err(format!("the verdict is `{}`, but must not be, since {cause}", word(*verdict)));
    }
    if case.reasons.is_empty() && *verdict != VerdictWord::Pass {
        return Err(format!("the verdict is `{}`, but no reason is given", word(*verdict)));
    }
    Ok(())
}

fn same(what: &str, found: u64, wanted: u64) -> Result<(), String> {
    if found == wanted { Ok(()) } else { Err(format!("{what} are {found}, but must be {wanted}")) }
}

fn at_most(what: &str, found: u64, most: u64) -> Result<(), String> {
    if found <= most { Ok(()) } else { Err(format!("{what} are {found}, but must be at most {most}")) }
}

/// A sum of numbers which may be anything: what is out of range agrees with nothing.
fn sum(numbers: impl IntoIterator<Item = u64>) -> u64 {
    numbers.into_iter().fold(0, u64::saturating_add)
}

fn total(counts: &Counts) -> u64 {
    sum(counts.values().copied())
}

fn of(counts: &Counts, outcome: OutcomeWord) -> u64 {
    counts.get(&outcome).copied().unwrap_or(0)
}

/// Every number that must equal another one. The histograms are decoded: what cannot be decoded is damaged.
fn check_race(race: &Race) -> Result<(), String> {
    let attempts = race.workers.checked_mul(race.rounds).ok_or("workers times rounds is out of range")?;
    same("the outcomes", total(&race.counts), attempts)?;
    same("the outcomes of all groups", sum(race.groups.iter().map(|group| total(&group.counts))), attempts)?;
    same("the workers of all groups", sum(race.groups.iter().map(|group| group.workers)), race.workers)?;
    same(
        "the rounds of all mixes",
        sum(race.mixes.iter().map(|mix| mix.rounds).chain([race.other_mixes])),
        race.rounds,
    )?;
    for mix in &race.mixes {
        same("the outcomes of a mix", total(&mix.counts), race.workers)?;
    }
    for invariant in &race.invariants {
        let said = sum([invariant.held, invariant.broken, invariant.unevaluated]);
        same(&format!("the results of invariant `{}`", invariant.name), said, race.rounds)?;
    }
    check_latency("attempts", &race.attempts)?;
    same("the attempts measured", race.attempts.all.own.count, attempts)?;
    for (outcome, count) in &race.counts {
        let measured = race.attempts.outcomes.get(outcome).map_or(0, |clocks| clocks.own.count);
        let outcome_word = OutcomeKind::from(*outcome);
        same(&format!("the attempts measured that ended `{outcome_word}`"), measured, *count)?;
        let in_groups = sum(race.groups.iter().map(|group| of(&group.counts, *outcome)));
        same(&format!("the attempts of all groups that ended `{outcome_word}`"), in_groups, *count)?;
    }
    for step in &race.steps {
        check_latency(&format!("step `{}`", step.name), &step.latency)?;
    }
    for (what, values) in [("overlaps", &race.overlap), ("makespans", &race.makespan)] {
        check_distribution(what, values)?;
        same(&format!("the {what}"), values.count, race.rounds)?;
    }
    for barrier in &race.barriers {
        check_distribution(&format!("skew of barrier `{}`", barrier.name), &barrier.skew)?;
        same(&format!("the releases of barrier `{}`", barrier.name), barrier.skew.count, barrier.released)?;
    }
    check_rounds(race)?;
    race.expectations.iter().try_for_each(|row| check_expectation(race, row))
}

/// How many rounds failed, and those that were kept.
fn check_rounds(race: &Race) -> Result<(), String> {
    let Race { rounds, rounds_failed, rounds_inconclusive, first_failed, .. } = race;
    at_most("failed and inconclusive rounds", sum([*rounds_failed, *rounds_inconclusive]), *rounds)?;
    match first_failed {
        None if *rounds_failed > 0 => return Err(format!("{rounds_failed} rounds failed, but no first one is named")),
        Some(first) if *rounds_failed == 0 => {
            return Err(format!("round {first} is the first failed one, but none failed"));
        }
        Some(first) if first >= rounds => return Err(format!("round {first} failed, but only {rounds} were raced")),
        _ => {}
    }
    if race.failure_bound.is_some() && sum([*rounds_failed, *rounds_inconclusive]) > 0 {
        return Err("`failure_bound` is given, but not all rounds passed".to_owned());
    }
    let of_verdict = |verdict| race.kept.iter().filter(move |kept| kept.verdict == verdict);
    at_most("failed rounds that were kept", of_verdict(VerdictWord::Fail).count() as u64, *rounds_failed)?;
    at_most(
        "inconclusive rounds that were kept",
        of_verdict(VerdictWord::Inconclusive).count() as u64,
        *rounds_inconclusive,
    )?;
    if let (Some(kept), Some(first)) = (of_verdict(VerdictWord::Fail).map(|kept| kept.round).min(), first_failed)
        && kept != *first
    {
        return Err(format!("the first failed round is {first}, but must be {kept}, the first one kept"));
    }
    race.kept.iter().try_for_each(|kept| check_kept(race, kept))
}

fn check_kept(race: &Race, kept: &RoundReport) -> Result<(), String> {
    let round = kept.round;
    if round >= race.rounds {
        return Err(format!("round {round} was kept, but only {} were raced", race.rounds));
    }
    same(&format!("the attempts of round {round}"), kept.attempts.len() as u64, race.workers)?;
    same(&format!("the outcomes of round {round}"), total(&kept.counts), race.workers)?;
    for (outcome, count) in &kept.counts {
        let ended = kept.attempts.iter().filter(|attempt| attempt.outcome == *outcome).count() as u64;
        same(&format!("the attempts of round {round} that ended `{}`", OutcomeKind::from(*outcome)), ended, *count)?;
    }
    let wanted = match (kept.failures.is_empty(), &kept.inconclusive) {
        (false, _) => VerdictWord::Fail,
        (true, Some(_)) => VerdictWord::Inconclusive,
        (true, None) => VerdictWord::Pass,
    };
    if kept.verdict != wanted {
        let [found, wanted] = [kept.verdict, wanted].map(Verdict::from);
        return Err(format!("the verdict of round {round} is `{found}`, but must be `{wanted}`, by its failures"));
    }
    Ok(())
}

/// A row of expected counts against the counts themselves.
fn check_expectation(race: &Race, row: &ExpectationRow) -> Result<(), String> {
    let (mut what, mut counts) = (format!("`{}` expected", OutcomeKind::from(row.outcome)), &race.counts);
    if let Some(name) = &row.group {
        what = format!("{what} of group `{name}`");
        let group = race.groups.iter().find(|group| group.name == *name);
        counts = &group.ok_or_else(|| format!("{what}: there is no such group"))?.counts;
    }
    same(&format!("attempts that ended {what}"), row.total, of(counts, row.outcome))?;
    at_most(&format!("the least of {what}, over all rounds,"), row.least.saturating_mul(race.rounds), row.total)?;
    at_most(&format!("attempts that ended {what}"), row.total, row.most.saturating_mul(race.rounds))?;
    at_most(&format!("the most of {what}"), row.most, row.total)?;
    at_most(&format!("the rounds that broke {what}"), row.rounds_broken, race.rounds_failed)
}

/// Over all outcomes there are as many operations as over each together, on both clocks.
fn check_latency(what: &str, latency: &LatencyReport) -> Result<(), String> {
    let mut counted = 0u64;
    for clocks in latency.outcomes.values().chain([&latency.all]) {
        let ClocksReport { since_release, own } = clocks;
        check_distribution(what, since_release)?;
        check_distribution(what, own)?;
        if since_release.count != own.count {
            return Err(format!("{what}: the two clocks measured {} and {}", since_release.count, own.count));
        }
        counted = counted.saturating_add(own.count);
    }
    let all = latency.all.own.count;
    if counted != all.saturating_mul(2) {
        return Err(format!("{what}: {} operations by outcome, but {all} in all", counted - all));
    }
    Ok(())
}

/// What is said of values, their histogram must say too.
fn check_distribution(what: &str, found: &Distribution) -> Result<(), String> {
    let histogram = Histogram::decode(&found.histogram).map_err(|error| format!("{what}: {error}"))?;
    let Distribution { count, min, p50, p90, p99, p999, max, histogram: _ } = distribution(&histogram);
    if count != found.count {
        return Err(format!("{what}: a histogram holds {count} values, but {} were counted", found.count));
    }
    let quantiles = [
        ("min", found.min, min),
        ("p50", found.p50, p50),
        ("p90", found.p90, p90),
        ("p99", found.p99, p99),
        ("p999", found.p999, p999),
        ("max", found.max, max),
    ];
    match quantiles.into_iter().find(|(_, found, wanted)| found != wanted) {
        None => Ok(()),
        Some((name, found, wanted)) => {
            let [found, wanted] =
                [found, wanted].map(|value| value.map_or_else(|| "absent".to_owned(), |value| value.to_string()));
            Err(format!("{what}: `{name}` is {found}, but must be {wanted} by the histogram beside it"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;
    use crate::report::schema::RunVerdictWord;
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
        assert_eq!(report.schema, SCHEMA);
        assert_eq!(report.scenarios[0].cases[0].controls[0].case.as_deref(), Some("race[backend=none]"));
        assert_eq!((report.not_raced.len(), report.error.is_some()), (1, true));
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
            error(&json.replace(r#""schema": "1.3""#, r#""schema": "2.3""#)),
            "its schema is 2.3, but this deadheat reads up to 1.3; use the version that wrote it (deadheat 0.1.0), or a newer one"
        );
    }

    #[test]
    fn a_newer_minor_version_is_read_and_what_it_adds_is_ignored() {
        let json = to_json(&example::report());
        let newer = json.replacen(r#""schema": "1.3","#, r#""schema": "1.7", "added": [1],"#, 1);
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
        refused(|race| race.rounds_inconclusive = 1, "`failure_bound` is given, but not all rounds passed");
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
