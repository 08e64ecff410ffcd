//! A comparison on the terminal. Pure: gives text, prints nothing.

use super::words;
use crate::judge::RunVerdict;
use crate::report::schema::*;
use crate::report::terminal::{Role, Style};

const INDENT: &str = "     ";

/// The whole comparison.
pub fn render(comparison: &Comparison, style: Style) -> String {
    let mut lines = vec![
        format!("{} {}", style.paint(Role::Strong, "BASE"), words::side(&comparison.base, comparison.form)),
        format!("{} {}", style.paint(Role::Strong, "HEAD"), words::side(&comparison.head, comparison.form)),
    ];
    let refused = comparison.verdict == RunVerdictWord::NotComparable;
    if !comparison.differences.is_empty() {
        let (role, head) = if refused {
            (Role::Bad, "not comparable")
        } else {
            (Role::Doubtful, "not comparable, and compared all the same")
        };
        lines.push(style.paint(role, head));
        lines.extend(comparison.differences.iter().map(|it| format!("{INDENT}{}", words::difference(it))));
    }
    if !comparison.changes.is_empty() {
        lines.push(style.paint(Role::Strong, "what changed"));
        lines.extend(comparison.changes.iter().map(|it| format!("{INDENT}{}", words::difference(it))));
    }
    for (in_base, side) in [(true, "BASE"), (false, "HEAD")] {
        let cases = words::unpaired(comparison, in_base);
        if !cases.is_empty() {
            lines.push(style.paint(Role::Strong, format!("only in {side}, not compared")));
            lines.extend(cases.iter().map(|case| format!("{INDENT}{case}")));
        }
    }
    for case in &comparison.cases {
        lines.push(String::new());
        lines.extend(case_lines(case, style));
    }
    if !comparison.growth.is_empty() {
        lines.push(String::new());
    }
    for growth in &comparison.growth {
        let word = words::growth_word(growth);
        let role = if word == "worse" { Role::Bad } else { Role::Good };
        let name = style.paint(Role::Strong, words::growth(growth));
        lines.push(format!("{} {name}", style.paint(role, word.to_uppercase())));
        lines.push(format!("{INDENT}{}", words::exponents(growth)));
    }
    lines.push("-".repeat(60));
    if comparison.form == FormWord::Stored && !comparison.cases.is_empty() {
        lines.push(style.paint(Role::Faint, format!("latency is {}", words::WEAK)));
    }
    lines.extend(comparison.reasons.iter().cloned());
    let verdict = RunVerdict::from(comparison.verdict);
    let role = match verdict {
        RunVerdict::Pass => Role::Good,
        RunVerdict::Inconclusive => Role::Doubtful,
        _ => Role::Bad,
    };
    let code =
        if verdict == RunVerdict::Pass { String::new() } else { format!(" (exit code {})", verdict.exit_code()) };
    lines.push(format!("{} {}{code}", style.paint(role, words::verdict(comparison)), words::sum(comparison)));
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn case_lines(case: &CaseComparison, style: Style) -> Vec<String> {
    let word = words::case(case);
    let role = match word {
        "worse" | "changed" | "regressed" => Role::Bad,
        "inconclusive" => Role::Doubtful,
        _ => Role::Good,
    };
    let rounds = words::rounds(case);
    let mut lines = vec![format!(
        "{} {}  {}",
        style.paint(role, word.to_uppercase()),
        style.paint(Role::Strong, &case.case),
        style.paint(Role::Faint, rounds)
    )];
    lines.extend(words::outcomes(case).into_iter().map(|line| format!("{INDENT}{line}")));
    let mut rows = vec![["", "BASE", "HEAD", "ratio (95 % interval)", "p", ""].map(str::to_owned)];
    rows.extend(case.latency.iter().map(|metric| {
        [
            metric.metric.clone(),
            words::time(metric.base_ns),
            words::time(metric.head_ns),
            words::ratio(metric),
            words::p_value(metric),
            words::change(metric),
        ]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    lines.extend(rows.iter().enumerate().map(|(index, row)| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        let line = line.trim_end();
        format!("{INDENT}{}", if index == 0 { style.paint(Role::Faint, line) } else { line.to_owned() })
    }));
    lines.extend(
        case.warnings.iter().map(|warning| format!("{INDENT}{}: {warning}", style.paint(Role::Doubtful, "warning"))),
    );
    lines
}

#[cfg(test)]
mod tests {
    use super::super::tests::{USUAL, compared, run};
    use super::super::{FailOn, Options};
    use super::*;

    const PLAIN: Style = Style { colour: false };

    #[test]
    fn a_comparison_shows_what_changed_and_how_sure_that_is() {
        let (base, mut head) = (run(&USUAL, 1.0, 1), run(&USUAL, 1.4, 2));
        head.0.scenarios[0].cases[0].race.groups[0].steps[0].text = "SELECT 1\n  FOR UPDATE".to_owned();
        let options = Options { fail_on: [FailOn::Regression].into(), ..Options::default() };
        insta::assert_snapshot!(render(&compared(&base, &head, &options), PLAIN));
    }

    #[test]
    fn changed_counts_come_first() {
        let mut wrong = USUAL;
        wrong[7] = "2 success, 1 conflict";
        insta::assert_snapshot!(render(
            &compared(&run(&USUAL, 1.0, 1), &run(&wrong, 1.0, 2), &Options::default()),
            PLAIN
        ));
    }

    #[test]
    fn what_is_not_comparable_is_named() {
        let (base, mut head) = (run(&USUAL, 1.0, 1), run(&USUAL, 1.0, 2));
        head.0.run.machine.cores = 64;
        insta::assert_snapshot!(render(&compared(&base, &head, &Options::default()), PLAIN));
    }

    #[test]
    fn colours_change_nothing_but_colours() {
        let comparison = compared(&run(&USUAL, 1.0, 1), &run(&USUAL, 1.4, 2), &Options::default());
        let coloured = render(&comparison, Style { colour: true });
        assert_ne!(coloured, render(&comparison, PLAIN));
        assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), render(&comparison, PLAIN));
    }
}
