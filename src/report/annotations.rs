//! Workflow commands that make GitHub show each failed check at its line of the scenario file.

use std::path::{Component, Path, PathBuf};

use super::checks::{CheckResult, case_checks, growth_check, repeat_command};
use super::schema::*;

/// How many errors GitHub shows of one step, and how many warnings.
const SHOWN: usize = 10;

/// One workflow command a line: `error` for what failed, `warning` for what proved nothing or was skipped.
/// `directory` is where the run was started, relative to the repository: GitHub wants files from there.
pub fn annotations(report: &Report, directory: &Path) -> String {
    let of_the_run = report.error.iter().map(|error| command("error", &[], "deadheat", error));
    let (mut errors, mut warnings): (Vec<String>, Vec<String>) = (of_the_run.collect(), Vec::new());
    let mut add = |scenario: &ScenarioReport, class: &str, check: &CheckResult| {
        let (level, list) = match check.verdict {
            VerdictWord::Pass => return,
            VerdictWord::Fail => ("error", &mut errors),
            VerdictWord::Inconclusive => ("warning", &mut warnings),
        };
        let seed = report.run.seed;
        let repeat = repeat_command(&report.run, &scenario.file, class);
        let message = format!("{}: {} (seed {seed})\n{repeat}", check.title(), check.message);
        let place = check.place.as_deref().unwrap_or(&scenario.file);
        list.push(command(level, &at(directory, place), class, &message));
    };
    for scenario in &report.scenarios {
        for case in &scenario.cases {
            case_checks(case).iter().for_each(|check| add(scenario, &case.id, check));
        }
        scenario.growth.iter().for_each(|growth| add(scenario, &scenario.name, &growth_check(growth)));
    }
    for SkippedCase { case, reason, remedy, .. } in &report.skipped {
        warnings.push(command("warning", &[], case, &format!("skipped: {reason}; {remedy}")));
    }
    let lines = [("error", errors), ("warning", warnings)].into_iter().flat_map(|(level, list)| shown(level, list));
    lines.map(|line| line + "\n").collect()
}

/// Those that fit, the last of them saying how many do not.
fn shown(level: &str, mut commands: Vec<String>) -> Vec<String> {
    if commands.len() > SHOWN {
        let rest = commands.split_off(SHOWN - 1).len();
        commands.push(command(
            level,
            &[],
            "deadheat",
            &format!("{rest} more; the job summary and junit.xml have them"),
        ));
    }
    commands
}

/// `file`, `line` and `col` of a place such as `race.toml:9:1`, or of a file alone.
fn at(directory: &Path, place: &str) -> Vec<(&'static str, String)> {
    let mut parts = place.rsplitn(3, ':');
    let numbers = parts.next().zip(parts.next()).filter(|(column, line)| [column, line].iter().all(|it| is_number(it)));
    let (file, position) = match (numbers, parts.next()) {
        (Some((column, line)), Some(file)) => (file, vec![("line", line.to_owned()), ("col", column.to_owned())]),
        _ => (place, Vec::new()),
    };
    let file = directory.join(file);
    let file: PathBuf = file.components().filter(|part| *part != Component::CurDir).collect();
    let file = file.display().to_string();
    std::iter::once(("file", file)).chain(position).collect()
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn command(level: &str, place: &[(&str, String)], title: &str, message: &str) -> String {
    let place = place.iter().map(|(name, value)| (*name, value.as_str()));
    let properties = place.chain([("title", title)]).map(|(name, value)| format!("{name}={}", property(value)));
    format!("::{level} {}::{}", properties.collect::<Vec<_>>().join(","), data(message))
}

/// A message, escaped as the runner reads it back.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property's value, which a comma or colon would end.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn failures_stand_at_their_lines() {
        insta::assert_snapshot!("annotations", annotations(&example::failing_report(), Path::new("")));
    }

    #[test]
    fn a_run_started_below_the_repository_names_files_from_its_root() {
        let text = annotations(&example::failing_report(), Path::new("tests/races"));
        assert!(
            text.starts_with("::error file=tests/races/race.toml,line=9,col=1,title=race[backend=memory]::"),
            "{text}"
        );
        assert_eq!(at(Path::new(""), "./a:b.toml:3:14")[0].1, "a:b.toml");
        assert_eq!(at(Path::new(""), "race.toml"), [("file", "race.toml".to_owned())]);
    }

    #[test]
    fn nothing_ends_a_command_early() {
        let line = command("error", &[("file", "a,b:c.toml".to_owned())], "50%", "two\r\nlines: 100%, ::error::");
        assert_eq!(line, "::error file=a%2Cb%3Ac.toml,title=50%25::two%0D%0Alines: 100%25, ::error::");
    }

    #[test]
    fn no_more_than_github_shows() {
        let mut report = example::failing_report();
        let case = report.scenarios[0].cases[0].clone();
        report.scenarios[0].cases = vec![case; 8];
        let text = annotations(&report, Path::new(""));
        assert_eq!(text.lines().filter(|line| line.starts_with("::error")).count(), SHOWN);
        assert!(text.contains("::error title=deadheat::16 more; the job summary"), "{text}");
    }
}
