//! A line of the table: what many comparisons of one kind came to.

use std::fmt;

use deadheat::report::schema::{ChangeWord, MetricComparison};
use deadheat::statistics::ALPHA;

pub(crate) struct Row {
    subject: &'static str,
    form: &'static str,
    /// By how much HEAD was slowed, as a share of the median, and what the comparison said.
    trials: Vec<(f64, MetricComparison)>,
}

impl Row {
    pub(crate) const HEAD: &str = "\
        | subject | form | comparisons | slowed by | measured | regressed | improved | equivalent | inconclusive | any change seen |\n\
        |---|---|---:|---:|---:|---:|---:|---:|---:|---:|";

    pub(crate) fn new(subject: &'static str, form: &'static str) -> Self {
        Row { subject, form, trials: Vec::new() }
    }

    pub(crate) fn add(&mut self, slowed: f64, found: MetricComparison) {
        self.trials.push((slowed, found));
    }

    fn share(&self, is_one: impl Fn(&MetricComparison) -> bool) -> String {
        let number = self.trials.iter().filter(|(_, found)| is_one(found)).count();
        percent(number as f64 / self.trials.len() as f64)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.trials.len() as f64;
        let slowed = self.trials.iter().map(|(slowed, _)| slowed).sum::<f64>() / count;
        let logarithms =
            self.trials.iter().filter_map(|(_, found)| found.effect.as_ref()).map(|effect| effect.ratio.ln());
        let measured = (logarithms.sum::<f64>() / count).exp() - 1.0;
        let changed = |word: ChangeWord| self.share(|found| found.change == word);
        let seen = self.share(|found| {
            found.effect.as_ref().is_some_and(|effect| (effect.low > 1.0 || effect.high < 1.0) && effect.p < ALPHA)
        });
        let cells = [
            self.subject.to_owned(),
            self.form.to_owned(),
            self.trials.len().to_string(),
            percent(slowed),
            format!("{:+.0} %", 100.0 * measured),
            changed(ChangeWord::Regressed),
            changed(ChangeWord::Improved),
            changed(ChangeWord::Equivalent),
            changed(ChangeWord::Inconclusive),
            seen,
        ];
        write!(formatter, "| {} |", cells.join(" | "))
    }
}

fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    // A false alarm in hundreds must not be rounded away.
    if percent > 0.0 && percent < 1.0 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}
