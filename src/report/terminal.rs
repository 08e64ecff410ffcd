//! What the terminal shows of a report. Pure: gives text, prints nothing.
//!
//! Text is aligned by characters, so everything drawn is one column wide.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anstyle::{AnsiColor, Style as Ansi};

use crate::judge::RunVerdict;

use super::checks::plain;
use super::schema::*;
use super::trace::trace;
use super::words::{
    name_of, not_raced, ns, number, one_line, origins, percent, shortened, span, sum, visible, without_commands,
};

/// How to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// With ANSI colours.
    pub colour: bool,
}

/// The roles that colours play.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Role {
    Good,
    Bad,
    Doubtful,
    Strong,
    Faint,
}

impl Role {
    const ALL: [Role; 5] = [Role::Good, Role::Bad, Role::Doubtful, Role::Strong, Role::Faint];

    fn ansi(self) -> Ansi {
        match self {
            Role::Good => Ansi::new().bold().fg_color(Some(AnsiColor::Green.into())),
            Role::Bad => Ansi::new().bold().fg_color(Some(AnsiColor::Red.into())),
            Role::Doubtful => Ansi::new().bold().fg_color(Some(AnsiColor::Yellow.into())),
            Role::Strong => Ansi::new().bold(),
            Role::Faint => Ansi::new().dimmed(),
        }
    }
}

impl Style {
    /// `text` in the colour of `role`, or as it is.
    pub(crate) fn paint(self, role: Role, text: impl std::fmt::Display) -> String {
        if !self.colour {
            return text.to_string();
        }
        let ansi = role.ansi();
        format!("{}{text}{}", ansi.render(), ansi.render_reset())
    }

    /// Lines without what scenarios and servers could tell the terminal or a CI service to do: only our own colours get through.
    pub(crate) fn screened(self, lines: &str) -> String {
        let colours: Vec<String> = match self.colour {
            true => Role::ALL
                .into_iter()
                .flat_map(|role| [role.ansi().render().to_string(), role.ansi().render_reset().to_string()])
                .collect(),
            false => Vec::new(),
        };
        let (mut screened, mut rest) = (String::with_capacity(lines.len()), lines);
        while let Some(character) = rest.chars().next() {
            let colour = colours.iter().find(|colour| character == '\u{1b}' && rest.starts_with(colour.as_str()));
            match colour {
                Some(colour) => screened.push_str(colour),
                None if character == '\n' => screened.push('\n'),
                None => screened.push(visible(character)),
            }
            rest = &rest[colour.map_or(character.len_utf8(), String::len)..];
        }
        without_commands(&screened)
    }
}

/// Width of the verdict's word, and indent of everything below it.
/// How many characters of a crash's message are shown at most.
const CRASH_MAX: usize = 500;
const MARGIN: usize = 5;

/// A finished case: three lines and one for each control when it passed, with the counts as a table and a trace when it did not.
pub fn case_block(case: &CaseReport, run: &Run, style: Style) -> String {
    let race = &case.race;
    let mut facts =
        format!("{} of {}, {}", number(race.rounds, "round"), number(race.workers, "worker"), ns(case.elapsed_ns));
    match (&race.ordered, race.raced) {
        (Some(_), _) => facts.push_str("; ordered, not raced"),
        (None, Some(raced)) => {
            let _ = write!(facts, "; raced in {raced} of {}", number(race.rounds, "round"));
        }
        (None, None) => {}
    }
    if let Some(bound) = race.failure_bound {
        let _ = write!(facts, "; at most {} of rounds fail (95 %)", percent(bound));
    }
    if let Some(reason) = &race.no_bound {
        let _ = write!(facts, "; {reason}");
    }
    if case.verdict == VerdictWord::Pass && case.controlled == Some(false) {
        facts.push_str("; no control");
    }
    let mut lines = vec![format!(
        "{} {}  {}",
        verdict_word(case.verdict, style),
        style.paint(Role::Strong, one_line(&case.id)),
        style.paint(Role::Faint, facts),
    )];
    lines.extend(case.reasons.iter().map(|reason| indent(style.paint(Role::Strong, reason))));
    if case.verdict == VerdictWord::Pass {
        lines.push(indent(counts_in_line(race)));
    } else {
        lines.extend(counts_table(race, style).into_iter().map(indent));
    }
    lines.push(indent(latency_line(race)));
    lines.extend(race.latency_bounds.iter().filter_map(|bound| bound_line(bound, style)).map(indent));
    lines.extend(case.controls.iter().filter_map(|control| control_line(control, style)).map(indent));
    let warnings = case.warnings.iter();
    lines.extend(warnings.map(|warning| indent(format!("{}: {warning}", style.paint(Role::Doubtful, "warning")))));
    let telling = |verdict| race.kept.iter().find(|kept| kept.verdict == verdict);
    if let Some(kept) = telling(VerdictWord::Fail).or_else(|| telling(VerdictWord::Inconclusive)) {
        lines.push(String::new());
        lines.extend(round_lines(kept, run, style).into_iter().map(indent));
        lines.push(String::new());
    }
    // One block in one string, without spaces at the ends of lines.
    let block = lines.iter().fold(String::new(), |mut block, line| {
        block.push_str(line.trim_end());
        block.push('\n');
        block
    });
    style.screened(&block)
}

/// A skipped case.
pub fn skip_line(skipped: &SkippedCase, style: Style) -> String {
    let SkippedCase { case, reason, remedy, .. } = skipped;
    let word = style.paint(Role::Doubtful, format!("{:MARGIN$}", "SKIP"));
    let case = style.paint(Role::Strong, one_line(case));
    let hint = indent(format!("{}: {remedy}\n", style.paint(Role::Strong, "hint")));
    style.screened(&format!("{word}{case}  {reason}\n{hint}"))
}

/// A judged growth check.
pub fn growth_line(growth: &GrowthReport, style: Style) -> String {
    let GrowthReport { name, metric, over, at_most, .. } = growth;
    let mut line = format!("{} {}", verdict_word(growth.verdict, style), style.paint(Role::Strong, one_line(name)));
    let mut held: Vec<String> = growth.others.iter().map(|(axis, value)| format!("{axis}={}", plain(value))).collect();
    held.extend(growth.control.iter().map(|control| format!("control `{control}`")));
    if !held.is_empty() {
        let _ = write!(line, " [{}]", held.join(","));
    }
    if let (Some(exponent), Some(spread)) = (growth.exponent, growth.spread) {
        let wanted = if growth.control.is_some() { "caught above" } else { "allowed up to" };
        let off = (spread - 1.0) * 100.0;
        let _ = write!(line, "  {metric} ~ {over}^{exponent:.2}, {wanted} {over}^{at_most}; points lie {off:.0} % off");
    }
    let points: Vec<String> = growth
        .points
        .iter()
        .map(|point| format!("{over}={} {}", point.x, point.y_ns.map_or_else(|| "?".to_owned(), ns)))
        .collect();
    line.push('\n');
    if !points.is_empty() {
        line.push_str(&indent(style.paint(Role::Faint, points.join("  "))));
        line.push('\n');
    }
    if let Some(reason) = &growth.reason {
        line.push_str(&indent(format!("{reason}\n")));
    }
    style.screened(&line)
}

/// A whole report as its run printed it.
pub fn whole(report: &Report, style: Style) -> String {
    let cases = report.scenarios.iter().flat_map(|scenario| &scenario.cases);
    let cases = cases.map(|case| case_block(case, &report.run, style));
    let skipped = report.skipped.iter().map(|skipped| skip_line(skipped, style));
    cases.chain(skipped).chain([run_footer(report, style)]).collect()
}

/// The end of a run: what did not pass once more, and one line for everything.
pub fn run_footer(report: &Report, style: Style) -> String {
    let cases: Vec<&CaseReport> = report.scenarios.iter().flat_map(|scenario| &scenario.cases).collect();
    let mut text = String::new();
    text.push_str(&format!("{}\n", "-".repeat(60)));
    let growth = report.scenarios.iter().flat_map(|scenario| &scenario.growth);
    for growth in growth.filter(|growth| growth.verdict != VerdictWord::Pass) {
        text.push_str(&growth_line(growth, style));
    }
    for verdict in [VerdictWord::Inconclusive, VerdictWord::Fail] {
        for case in cases.iter().filter(|case| case.verdict == verdict) {
            let reason = case.reasons.first().map(|reason| format!("  {reason}")).unwrap_or_default();
            text.push_str(&format!(
                "{} {}{reason}\n",
                verdict_word(verdict, style),
                style.paint(Role::Strong, one_line(&case.id))
            ));
        }
    }
    for warning in &report.warnings {
        text.push_str(&format!("{}: {warning}\n", style.paint(Role::Doubtful, "warning")));
    }
    if let Some(error) = &report.error {
        text.push_str(&format!("{}: {error}\n", style.paint(Role::Bad, "error")));
    }
    if let Some(cases) = not_raced(report) {
        text.push_str(&format!("{}: {cases}\n", style.paint(Role::Doubtful, "not raced")));
    }
    let verdict = RunVerdict::from(report.verdict);
    let (role, word) = match report.verdict {
        RunVerdictWord::Pass => (Role::Good, "PASS".to_owned()),
        RunVerdictWord::Inconclusive => (Role::Doubtful, "INCONCLUSIVE".to_owned()),
        _ => (Role::Bad, verdict.as_str().to_uppercase()),
    };
    let code = match verdict.exit_code() {
        0 => String::new(),
        code => format!(" (exit code {code})"),
    };
    text.push_str(&format!("{} {}{code}\n", style.paint(role, word), sum(report)));
    let facts = format!("{}seed {}", servers(&cases), report.run.seed);
    text.push_str(&format!("{}\n", indent(style.paint(Role::Faint, facts))));
    style.screened(&text)
}

/// The servers raced against: `postgres 15.18 (private server), `. Nothing for what is embedded.
fn servers(cases: &[&CaseReport]) -> String {
    let targets = cases.iter().flat_map(|case| &case.targets).filter(|target| !target.is_embedded());
    let servers: BTreeSet<String> = targets
        .map(|target| {
            let server = target.driver.trim_start_matches("event-store/");
            format!("{server} {} ({}), ", target.version, target.origin)
        })
        .collect();
    servers.into_iter().collect()
}

/// The counts of a case in which all is as expected: `success 1 (expected 1)`.
fn counts_in_line(race: &Race) -> String {
    let row = |row: &ExpectationRow| {
        let group = row.group.as_ref().map(|group| format!("{group}: ")).unwrap_or_default();
        let origins = if row.group.is_none() { origins(race, row.outcome) } else { String::new() };
        format!("{group}{} {} (expected {}){origins}", row.outcome, span(row), row.expected)
    };
    let rows: Vec<String> = race.expectations.iter().map(row).collect();
    format!("{} each round", rows.join(", "))
}

/// The counts as a table, with a mark where they broke an expectation.
fn counts_table(race: &Race, style: Style) -> Vec<String> {
    let label = |row: &ExpectationRow| match &row.group {
        Some(group) => format!("{group}: {}", row.outcome),
        None => row.outcome.to_string(),
    };
    let width = |texts: &mut dyn Iterator<Item = String>, least: usize| {
        texts.map(|text| text.chars().count()).max().unwrap_or(0).max(least)
    };
    let labels = width(&mut race.expectations.iter().map(label), 7);
    let expected = width(&mut race.expectations.iter().map(|row| row.expected.clone()), 8);
    let observed = width(&mut race.expectations.iter().map(span), 8);
    let head = format!("{:labels$}  {:>expected$}  {:>observed$}", "outcome", "expected", "observed");
    let mut lines = vec![style.paint(Role::Faint, head)];
    for row in &race.expectations {
        let line = format!("{:labels$}  {:>expected$}  {:>observed$}", label(row), row.expected, span(row));
        lines.push(match row.rounds_broken {
            0 => line,
            rounds => format!("{}  broken in {}", style.paint(Role::Bad, line), number(rounds, "round")),
        });
        let origins = if row.group.is_none() { origins(race, row.outcome) } else { String::new() };
        if let Some(line) = lines.last_mut().filter(|_| !origins.is_empty()) {
            let _ = write!(line, " {}", style.paint(Role::Faint, origins));
        }
    }
    for invariant in race.invariants.iter().filter(|invariant| invariant.held < race.rounds) {
        let InvariantReport { name, broken, unevaluated, undecided, .. } = invariant;
        let mut said = Vec::new();
        if *broken > 0 {
            said.push(format!("broken in {}", number(*broken, "round")));
        }
        let undefined = unevaluated.saturating_sub(*undecided);
        if undefined > 0 {
            said.push(format!("not evaluated in {}", number(undefined, "round")));
        }
        if *undecided > 0 {
            said.push(format!("not decided in {}", number(*undecided, "round")));
        }
        lines.push(format!(
            "{} {}",
            style.paint(Role::Bad, format!("invariant `{}`", one_line(name))),
            said.join(", ")
        ));
    }
    lines
}

fn latency_line(race: &Race) -> String {
    let all = &race.attempts.all.since_release;
    let quantile = |name: &str, value: Option<u64>, needed: u64| {
        format!("{name} {}", value.map_or_else(|| format!("n<{needed}"), ns))
    };
    let mut parts = vec![format!(
        "attempt {}  {}  {}  {}",
        quantile("p50", all.p50, 1),
        quantile("p90", all.p90, 29),
        quantile("p99", all.p99, 299),
        quantile("max", all.max, 1),
    )];
    if race.workers > 1 {
        if let Some(start) = race.barriers.first().and_then(|barrier| barrier.skew.p50) {
            parts.push(format!("skew {}", ns(start)));
        }
        parts.push(format!("overlap {} of {}", race.overlap.p50.unwrap_or(0), race.workers));
    }
    parts.join(" | ")
}

fn bound_line(bound: &LatencyBoundReport, style: Style) -> Option<String> {
    let observed = ns(bound.observed_ns?);
    let role = if bound.verdict == VerdictWord::Pass { Role::Good } else { Role::Bad };
    Some(format!("{} {} (expected at most {})", bound.key, style.paint(role, observed), ns(bound.at_most_ns)))
}

/// How a control ended, if nothing else says so.
fn control_line(control: &ControlReport, style: Style) -> Option<String> {
    let name = one_line(&control.name);
    match control.verdict {
        ControlVerdictWord::Caught => {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            let (check, expected, observed) = (text(&control.check), text(&control.expected), text(&control.observed));
            let round = control.round.map(|round| format!(" in round {round}")).unwrap_or_default();
            let caught = style.paint(Role::Good, "caught");
            Some(format!("control `{name}` {caught}{round}: {check} {}, expected {expected}", shortened(&observed, 60)))
        }
        ControlVerdictWord::Survived => Some(format!("control `{name}` should fail, since {}", control.why)),
        // Said elsewhere: by the growth check that judges it, and among the case's reasons.
        ControlVerdictWord::AwaitsGrowth | ControlVerdictWord::Invalid | ControlVerdictWord::Disturbed => None,
    }
}

/// A round that did not pass: what broke, and who did what when.
pub(super) fn round_lines(round: &RoundReport, run: &Run, style: Style) -> Vec<String> {
    let name = name_of(round);
    let name = if name.contains(',') { name + "," } else { name };
    let verdict = match round.verdict {
        VerdictWord::Fail => style.paint(Role::Bad, format!("round {name} failed")),
        _ => style.paint(Role::Doubtful, format!("round {name} is inconclusive")),
    };
    let mut lines = vec![format!("{verdict} {}", style.paint(Role::Faint, format!("(seed {})", run.seed)))];
    for failure in &round.failures {
        let FailureReport { check, expected, observed, .. } = failure;
        let group = failure.group.as_ref().map(|group| format!("{group}: ")).unwrap_or_default();
        let place =
            failure.place.as_ref().map(|place| format!("  {}", style.paint(Role::Faint, place))).unwrap_or_default();
        let observed = style.paint(Role::Bad, shortened(observed, 80));
        lines.push(format!("  {group}{check}: expected {expected}, observed {observed}{place}"));
    }
    // Its message says what the scenario would say if the race may end so.
    let crashed = round.attempts.iter().find(|attempt| attempt.outcome == OutcomeWord::Crash);
    lines.extend(crashed.map(|attempt| {
        format!("  {} {} crashed: {}", attempt.group, attempt.worker, shortened(&attempt.message, CRASH_MAX))
    }));
    lines.extend(round.inconclusive.iter().map(|reason| format!("  {reason}")));
    lines.push(String::new());
    lines.extend(trace(round, style));
    lines
}

fn verdict_word(verdict: VerdictWord, style: Style) -> String {
    match verdict {
        VerdictWord::Pass => style.paint(Role::Good, "PASS"),
        VerdictWord::Inconclusive => style.paint(Role::Doubtful, "INCONCLUSIVE"),
        VerdictWord::Fail => style.paint(Role::Bad, "FAIL"),
    }
}

fn indent(text: impl std::fmt::Display) -> String {
    format!("{:MARGIN$}{text}", "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    const PLAIN: Style = Style { colour: false };

    #[test]
    fn a_passing_case_takes_four_lines() {
        let case = example::case(&["1 success, 2 conflict"; 120], &["1 success, 2 conflict", "3 success"]);
        insta::assert_snapshot!(case_block(&case, &example::run(), PLAIN));
    }

    #[test]
    fn only_a_pass_without_a_control_says_so() {
        let mut case = example::case(&["1 success, 2 conflict"; 3], &["3 success"]);
        let first_line =
            |case: &CaseReport| case_block(case, &example::run(), PLAIN).lines().next().unwrap_or_default().to_owned();
        assert!(!first_line(&case).contains("control"), "{}", first_line(&case));
        case.controlled = Some(false);
        assert!(first_line(&case).ends_with("; no control"), "{}", first_line(&case));
        // Reports of earlier versions do not say.
        case.controlled = None;
        assert!(!first_line(&case).contains("control"), "{}", first_line(&case));
        (case.controlled, case.verdict) = (Some(false), VerdictWord::Fail);
        assert!(!first_line(&case).contains("control"), "{}", first_line(&case));
    }

    #[test]
    fn a_failing_case_shows_its_counts_and_a_trace() {
        let case = example::case(&["1 success, 2 conflict", "2 success, 1 conflict"], &["1 success, 2 conflict"; 4]);
        insta::assert_snapshot!(case_block(&case, &example::run(), PLAIN));
    }

    #[test]
    fn an_invalid_control_says_why() {
        let case = example::case(&["1 success, 2 conflict"], &["2 success, 1 crash"]);
        insta::assert_snapshot!(case_block(&case, &example::run(), PLAIN));
    }

    #[test]
    fn the_footer_sums_up() {
        let mut report = example::report();
        insta::assert_snapshot!("footer_pass", run_footer(&report, PLAIN));
        let failing = example::case(&["3 success"], &["3 success"]);
        report.scenarios[0].cases.push(failing);
        report.verdict = RunVerdictWord::Fail;
        report
            .warnings
            .push("`deadlock_timeout` was refused; GRANT SET ON PARAMETER deadlock_timeout TO racer".to_owned());
        insta::assert_snapshot!("footer_fail", run_footer(&report, PLAIN));
        insta::assert_snapshot!("skip", skip_line(&report.skipped[0], PLAIN));
    }

    #[test]
    fn what_scenarios_and_servers_say_tells_the_terminal_nothing() {
        let hostile = "a\u{1b}[2J\u{7}\u{202e}b\nPASS \u{2066}\u{9b}c";
        let mut case = example::case(&["1 success, 2 conflict", "2 success, 1 conflict"], &["3 success"]);
        (case.id, case.controls[0].name) = (hostile.to_owned(), hostile.to_owned());
        (case.warnings, case.race.invariants[0].name) = (vec![hostile.to_owned()], hostile.to_owned());
        (case.race.invariants[0].held, case.race.invariants[0].broken) = (0, 2);
        case.race.kept.iter_mut().flat_map(|round| &mut round.attempts).for_each(|attempt| {
            (attempt.message, attempt.group) = (hostile.to_owned(), hostile.to_owned());
        });
        let mut report = example::failing_report();
        report.scenarios[0].growth[0].name = hostile.to_owned();
        report.skipped[0].case = hostile.to_owned();
        report.not_raced = vec![hostile.to_owned()];
        report.warnings.push(hostile.to_owned());
        report.scenarios[0].cases.push(case);
        for colour in [false, true] {
            let text = whole(&report, Style { colour });
            let stripped = anstream::adapter::strip_str(&text).to_string();
            let commands = |character: char| character != '\n' && visible(character) != character;
            assert!(!stripped.contains(commands), "{stripped:?}");
            assert!(!text.contains("\u{1b}[2J") && text.contains("a [2J  b PASS   c"), "{text:?}");
            assert!(colour == text.contains('\u{1b}'), "{text:?}");
        }
    }

    #[test]
    fn colours_change_nothing_but_colours() {
        let case = example::case(&["1 success, 2 conflict", "2 success, 1 conflict"], &["3 success"]);
        let coloured = case_block(&case, &example::run(), Style { colour: true });
        assert!(coloured.contains("\u{1b}[31m") || coloured.contains("\u{1b}[1m\u{1b}[31m"), "{coloured:?}");
        let stripped = anstream::adapter::strip_str(&coloured).to_string();
        assert_eq!(stripped, case_block(&case, &example::run(), PLAIN));
    }
}
