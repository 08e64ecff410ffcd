//! `junit.xml`: one suite for each scenario, one test case for each check.
//!
//! A check that failed is a `<failure>`, one that proved nothing an `<error>`, and a case that was not raced is `<skipped>`.
//! A run that came to no end of its own has a suite `run` with an `<error>`, so that what there is of it does not look whole.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Property, Report as Document, TestCase, TestCaseStatus, TestSuite};

use super::checks::{CheckResult, case_checks, growth_check, repeat_command};
use super::schema::*;
use super::words::number;

/// The report as JUnit XML.
pub fn junit(report: &Report) -> String {
    let mut document = Document::new("deadheat");
    document.set_time(Duration::from_nanos(report.run.elapsed_ns));
    let mut suites: Vec<TestSuite> = report.scenarios.iter().map(|scenario| suite(report, scenario)).collect();
    for skipped in &report.skipped {
        let position = suites.iter().position(|suite| suite.name.as_str() == skipped.scenario).unwrap_or_else(|| {
            suites.push(TestSuite::new(&skipped.scenario));
            suites.len() - 1
        });
        let mut status = TestCaseStatus::skipped();
        status.set_message(format!("{}; {}", skipped.reason, skipped.remedy));
        let mut test = TestCase::new("race", status);
        test.set_classname(&skipped.case);
        suites[position].add_test_case(test);
    }
    suites.extend(unfinished(report));
    document.add_test_suites(suites);
    well_formed(&document.to_string().expect("XML written to memory is text"))
}

/// The document without what readers refuse: two characters that XML does not allow and the writer lets through, and the
/// count of skipped tests at the top, which schemas allow for a suite only.
fn well_formed(xml: &str) -> String {
    let xml = xml.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}");
    let top =
        xml.find("<testsuites ").map_or(0..0, |start| start..xml[start..].find('>').map_or(start, |end| start + end));
    let kept = xml[top.clone()].split_inclusive(' ').filter(|attribute| !attribute.starts_with("skipped=\""));
    format!("{}{}{}", &xml[..top.start], kept.collect::<String>(), &xml[top.end..])
}

/// Why the run ended before its time, and the cases that it did not come to.
fn unfinished(report: &Report) -> Option<TestSuite> {
    let interrupted = report.verdict == RunVerdictWord::Interrupted;
    let why = report.error.as_deref().or(interrupted.then_some("the run was interrupted"));
    if why.is_none() && report.not_raced.is_empty() {
        return None;
    }
    let mut suite = TestSuite::new("run");
    if let Some(why) = why {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message(why).set_type("run");
        suite.add_test_case(TestCase::new("run", status));
    }
    for case in &report.not_raced {
        let mut status = TestCaseStatus::skipped();
        status.set_message("the run ended before it");
        let mut test = TestCase::new("race", status);
        test.set_classname(case);
        suite.add_test_case(test);
    }
    Some(suite)
}

fn suite(report: &Report, scenario: &ScenarioReport) -> TestSuite {
    let mut suite = TestSuite::new(&scenario.name);
    suite.set_time(Duration::from_nanos(scenario.cases.iter().map(|case| case.elapsed_ns).sum()));
    suite.add_properties(properties(report, scenario));
    for case in &scenario.cases {
        for check in case_checks(case) {
            let mut test = test_case(report, scenario, &case.id, &check);
            // The whole case is counted once, so that the times add up to the suite's.
            let time = if check.kind == "race" { case.elapsed_ns } else { 0 };
            test.set_time(Duration::from_nanos(time));
            suite.add_test_case(test);
        }
    }
    for growth in &scenario.growth {
        suite.add_test_case(test_case(report, scenario, &scenario.name, &growth_check(growth)));
    }
    suite
}

fn test_case(report: &Report, scenario: &ScenarioReport, class: &str, check: &CheckResult) -> TestCase {
    let kind = match check.verdict {
        VerdictWord::Pass => None,
        VerdictWord::Fail => Some(NonSuccessKind::Failure),
        VerdictWord::Inconclusive => Some(NonSuccessKind::Error),
    };
    let status = kind.map_or_else(TestCaseStatus::success, |kind| {
        let mut status = TestCaseStatus::non_success(kind);
        status
            .set_message(&check.message)
            .set_type(check.kind)
            .set_description(details(report, scenario, class, check));
        status
    });
    let mut test = TestCase::new(check.title(), status);
    test.set_classname(class);
    test
}

/// What is needed to understand the check and to race it again, one thing a line.
fn details(report: &Report, scenario: &ScenarioReport, class: &str, check: &CheckResult) -> String {
    let mut lines = vec![check.message.clone()];
    let mut line = |name: &str, value: &str| lines.push(format!("{name:9} {value}"));
    if let Some((expected, observed)) = &check.compared {
        line("expected:", expected);
        line("observed:", observed);
    }
    if let Some(round) = check.round {
        line("round:", &round.to_string());
    }
    line("seed:", &report.run.seed.to_string());
    if let Some(place) = &check.place {
        line("place:", place);
    }
    line("repeat:", &repeat_command(&report.run, &scenario.file, class));
    lines.join("\n")
}

/// Where and how the suite was raced.
fn properties(report: &Report, scenario: &ScenarioReport) -> Vec<Property> {
    let Run { id, seed, git, machine, .. } = &report.run;
    let mut properties = vec![
        ("file".to_owned(), scenario.file.clone()),
        ("hash".to_owned(), scenario.hash.clone()),
        ("run".to_owned(), id.clone()),
        ("seed".to_owned(), seed.to_string()),
        ("tool".to_owned(), format!("{} {}", report.tool.name, report.tool.version)),
        ("machine".to_owned(), format!("{}, {}, {}", machine.cpu, number(machine.cores, "core"), machine.os)),
    ];
    if let Some(Git { branch, sha, dirty }) = git {
        let dirty = if *dirty { ", with changes" } else { "" };
        properties.push(("commit".to_owned(), format!("{sha} ({branch}{dirty})")));
    }
    for case in &scenario.cases {
        for target in &case.targets {
            let TargetReport { name, driver, version, origin, .. } = target;
            properties.push((format!("target {}/{name}", case.id), format!("{driver} {version}, {origin}")));
        }
    }
    properties.into_iter().map(|(name, value)| Property::new(name, value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn a_passing_report() {
        insta::assert_snapshot!("junit_pass", junit(&example::report()));
    }

    #[test]
    fn failures_errors_and_skipped_cases() {
        insta::assert_snapshot!("junit_fail", junit(&example::failing_report()));
    }

    #[test]
    fn what_servers_say_cannot_break_the_document() {
        let mut report = example::failing_report();
        let case = &mut report.scenarios[0].cases[0];
        let kept = case.race.kept.iter_mut().find(|kept| !kept.failures.is_empty()).unwrap();
        kept.failures[0].observed = "<b>\u{0}\u{1b}[31m ]]> & \"".to_owned();
        let xml = junit(&report);
        assert!(xml.contains("&lt;b&gt;"), "{xml}");
        assert!(!xml.contains(['\u{0}', '\u{1b}']), "{xml}");
    }

    #[test]
    fn every_character_is_one_that_xml_allows() {
        let every: String = (0..=0x1_ffff).filter_map(char::from_u32).collect();
        let mut report = example::failing_report();
        report.scenarios[0].name = every.clone();
        report.scenarios[0].file = every.clone();
        report.scenarios[0].cases[0].id = every.clone();
        report.skipped[0].reason = every;
        // https://www.w3.org/TR/xml/#charsets
        let allowed = |character: char| matches!(character, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
        assert_eq!(junit(&report).chars().find(|character| !allowed(*character)), None);
    }

    #[test]
    fn only_a_suite_counts_skipped_tests() {
        let xml = junit(&example::failing_report());
        let top = xml.lines().find(|line| line.starts_with("<testsuites ")).unwrap();
        assert!(top.ends_with("time=\"1.300\">") && !top.contains("skipped"), "{top}");
        assert!(xml.contains("<testsuite name=\"race\" tests=\"14\" skipped=\"1\""), "{xml}");
    }
}
