//! One line of the table.

use std::fmt;

use crate::pairs::{Floor, Pairs};

/// A comparison, measured.
pub(crate) struct Row {
    /// What was compared.
    pub(crate) what: String,
    /// The unit of both sides, such as `publishes/s`.
    pub(crate) unit: &'static str,
    /// What the other side is.
    pub(crate) peer: &'static str,
    pub(crate) pairs: Pairs,
    pub(crate) floor: Floor,
    /// Shown beside it, where there is more to say.
    pub(crate) note: String,
}

/// The columns, in order.
pub(crate) const HEADER: [&str; 9] =
    ["compared", "unit", "deadheat", "peer", "pairs", "ratio", "middle half", "floor", ""];

impl Row {
    pub(crate) fn cells(&self) -> [String; 9] {
        let [lower, median, upper] = self.pairs.ratio();
        let note = if self.note.is_empty() { String::new() } else { format!(" ({})", self.note) };
        [
            format!("{} : {}{note}", self.what, self.peer),
            self.unit.to_owned(),
            number(self.pairs.ours()),
            number(self.pairs.peer()),
            self.pairs.len().to_string(),
            ratio(median),
            format!("{} – {}", ratio(lower), ratio(upper)),
            self.floor.to_string(),
            match self.floor.is_kept_by(median) {
                Some(true) => "ok".to_owned(),
                Some(false) => "MISSED".to_owned(),
                None => String::new(),
            },
        ]
    }

    pub(crate) fn is_missed(&self) -> bool {
        let [_, median, _] = self.pairs.ratio();
        self.floor.is_kept_by(median) == Some(false)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [what, unit, ours, peer, pairs, ratio, spread, floor, kept] = self.cells();
        write!(f, "{what}\n  {ours} : {peer} {unit}, {pairs} pairs, ratio {ratio} ({spread}), floor {floor} {kept}")
    }
}

impl fmt::Display for Floor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Floor::AtLeast(floor) => write!(f, "≥ {}", ratio(*floor)),
            Floor::AtMost(floor) => write!(f, "≤ {}", ratio(*floor)),
            Floor::None => f.write_str("–"),
        }
    }
}

/// Two decimals, or four where two would show nothing.
fn ratio(value: f64) -> String {
    if value < 0.095 { format!("{value:.4}") } else { format!("{value:.2}") }
}

/// Three digits that count, thousands apart.
fn number(value: f64) -> String {
    if value.abs() < 100.0 {
        let decimals = if value.abs() < 10.0 { 2 } else { 1 };
        return format!("{value:.decimals$}");
    }
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}
