//! docs/false-verdicts.md.

use std::time::Duration;

use deadheat::outcome::OutcomeKind;

use super::run::Ran;

/// What came of a case's cuts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tried {
    cuts: usize,
    /// The connection was cut before the first round, or the way to the server was not found again.
    not_raced: usize,
    /// Rounds with an attempt that lost its connection, of the case and its controls, by what they were called.
    disconnected: usize,
    unknown: usize,
    /// Runs in which nobody noticed: the cut came after the attempt's end, a read was asked again, or the request did not come.
    unnoticed: usize,
    /// Verdicts of the case's own rounds with a lost attempt.
    passed: usize,
    inconclusive: usize,
    /// Rounds of controls with a lost attempt, and controls that were caught by another round all the same.
    set_aside: usize,
    caught: usize,
}

impl Tried {
    pub(crate) fn of(cuts: usize) -> Self {
        Tried { cuts, ..Tried::default() }
    }

    pub(crate) fn count(&mut self, ran: &Ran) {
        let lost = || ran.rows.iter().filter(|row| row.lost() > 0);
        self.disconnected += lost().filter(|row| row.count(OutcomeKind::Disconnected) > 0).count();
        self.unknown += lost().filter(|row| row.count(OutcomeKind::Unknown) > 0).count();
        self.not_raced += usize::from(ran.exit == Some(10));
        self.unnoticed += usize::from(ran.exit != Some(10) && lost().next().is_none());
        let verdict = |word| lost().filter(|row| row.control.is_none() && row.verdict == word).count();
        self.passed += verdict("pass");
        self.inconclusive += verdict("inconclusive");
        for row in lost() {
            let Some(control) = &row.control else { continue };
            let by = ran.caught.get(control).copied().flatten();
            self.set_aside += usize::from(by != Some(row.round));
            self.caught += usize::from(by.is_some_and(|by| by != row.round));
        }
    }

    pub(crate) fn lost(&self) -> usize {
        self.disconnected + self.unknown
    }
}

/// A row of the table.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) case: String,
    pub(crate) tried: Tried,
    pub(crate) violations: usize,
}

pub(crate) fn row(line: &Line) -> String {
    let Line { case, tried, violations } = line;
    let case = case.replace('|', "\\|");
    if tried.cuts == 0 {
        return format!("| `{case}` | no connection | | | | | | | | | {violations} |");
    }
    let Tried { cuts, not_raced, disconnected, unknown, unnoticed, passed, inconclusive, set_aside, caught } = tried;
    format!(
        "| `{case}` | {cuts} | {not_raced} | {unnoticed} | {disconnected} | {unknown} | {passed} | {inconclusive} | {set_aside} | {caught} | {violations} |"
    )
}

const HEAD: &str = "\
# False verdicts

A connection that is lost is nobody's race. `scripts/false-verdicts` cuts one connection of one worker at each of its
requests, in every case of every scenario that comes with deadheat, and its controls: just before the request reaches
the server, and after the server has answered but before the answer reaches deadheat. Each cut is a run of its own, of 3
rounds. A proxy in front of private servers does it, which knows what deadheat cannot know: whether what was asked took
effect. Then these must hold:

- No round fails and no case does.
- No control is caught by a round in which an attempt was lost.
- No round passes that needed what nobody knows: the counts must fit with what the proxy saw take effect, together with
  every invariant; where there is no invariant, they must fit whatever took effect. An attempt that lost its connection
  did not run: the counts must fit without it. This is computed by the oracle itself, with none of the code that judges rounds.

The first worker of each group is cut. Memory and SQLite have no connection. `latest-version-cost` is tried with short
histories only; longer ones have the same requests. The command writes this page and ends with an
error if there is a violation; `FALSE_VERDICTS_OF=TEXT` takes the cases whose id contains the text, and leaves the page.

| column | meaning |
|---|---|
| cuts | runs, one for each request and side, from the connection's first request |
| not raced | the connection was cut while it was being set up, and the run ended with exit code 10 |
| unnoticed | no attempt was lost: the cut came after the attempt had ended, or the request did not come in that run |
| disconnected, unknown | rounds with an attempt that ended so, of the case and of its controls |
| passed, inconclusive | verdicts of the case's own rounds with a lost attempt |
| set aside | rounds of controls with a lost attempt, none of which caught the control |
| caught | controls that were caught all the same, by another round of that run |
| false | what broke one of the three rules |

";

pub(crate) fn page(lines: &[Line], violations: &[String], took: Duration) -> String {
    let mut text = HEAD.to_owned();
    let date = jiff::Zoned::now().date();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let cuts: usize = lines.iter().map(|line| line.tried.cuts).sum();
    let minutes = took.as_secs().div_ceil(60);
    text.push_str(&format!(
        "On {date}, {} with {cores} cores: {cuts} cuts in {minutes} min, {} false verdicts.\n\n",
        std::env::consts::OS,
        violations.len()
    ));
    text.push_str("| case | cuts | not raced | unnoticed | disconnected | unknown | passed | inconclusive | set aside | caught | false |\n");
    text.push_str("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n");
    for line in lines {
        text.push_str(&row(line));
        text.push('\n');
    }
    if !violations.is_empty() {
        text.push_str("\nFalse:\n\n");
        for violation in violations {
            text.push_str(&format!("- {}\n", violation.replace('\n', " ")));
        }
    }
    text
}
