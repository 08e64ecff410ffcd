//! What is seen while a run goes on: a bar on a terminal, plain lines otherwise.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::Output;
use crate::report::terminal;
use crate::report::words::{number, one_line};
use crate::run::Event;

/// Without a terminal, a case that takes long says so no more often than this.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// The progress of a run, and the blocks of its finished cases.
pub(crate) struct Progress {
    output: Output,
    quiet: bool,
    bar: ProgressBar,
    last_line: Instant,
}

impl Progress {
    pub(crate) fn new(output: Output, quiet: bool) -> Self {
        let shown = output.interactive && !quiet;
        let target = if shown { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let style = ProgressStyle::with_template("{bar:24.cyan/dim} {pos}/{len} {wide_msg}");
        bar.set_style(style.expect("the template is well-formed").progress_chars("━━─"));
        Progress { output, quiet, bar, last_line: Instant::now() }
    }

    pub(crate) fn on_event(&mut self, event: Event<'_>) {
        match event {
            Event::Begin { case, rounds } => {
                self.bar.set_length(rounds);
                self.bar.set_position(0);
                self.bar.set_message(one_line(&case.id));
            }
            Event::Round { case, raced, failed } => {
                self.bar.set_length(case.rounds.max(raced));
                self.bar.set_position(raced);
                if !self.output.interactive && !self.quiet && self.last_line.elapsed() >= PLAIN_EVERY {
                    self.last_line = Instant::now();
                    self.output.note(&round_line(&one_line(&case.id), raced, failed));
                }
            }
            Event::Case(case, run) => {
                let failed = case.verdict != crate::report::schema::VerdictWord::Pass;
                if failed || !self.quiet {
                    self.print(&terminal::case_block(case, run, self.output.style));
                }
            }
            Event::Skipped(skipped) => self.print(&terminal::skip_line(skipped, self.output.style)),
            Event::Growth(growth) => {
                if growth.verdict != crate::report::schema::VerdictWord::Pass || !self.quiet {
                    self.print(&terminal::growth_line(growth, self.output.style));
                }
            }
        }
    }

    /// Takes the bar away.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }

    fn print(&self, text: &str) {
        self.bar.suspend(|| self.output.data(text));
    }
}

/// How far a case has come: `race: 1 round, 0 failed`.
fn round_line(case: &str, raced: u64, failed: u64) -> String {
    format!("{case}: {}, {failed} failed", number(raced, "round"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_round_is_one_round() {
        assert_eq!(round_line("race", 1, 0), "race: 1 round, 0 failed");
        assert_eq!(round_line("race", 20, 1), "race: 20 rounds, 1 failed");
    }
}
