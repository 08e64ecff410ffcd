//! docs/performance.md: a table between markers, in a page that is otherwise written by hand.

use std::fs;
use std::path::Path;

use deadheat::run::machine;

use crate::harness::Result;
use crate::row::{HEADER, Row};

const BEGIN: &str = "<!-- begin: written by `cargo bench --bench performance` -->";
const END: &str = "<!-- end -->";

/// The generated block: when and where, and the table.
pub(crate) fn block(rows: &[Row]) -> String {
    let machine = machine();
    let date = jiff::Zoned::now().date();
    let mut lines = vec![
        format!("Measured on {date}: {}, {} cores, {}.", machine.cpu, machine.cores, machine.os),
        String::new(),
        line(&HEADER.map(str::to_owned)),
        line(&HEADER.map(|_| "---".to_owned())),
    ];
    lines.extend(rows.iter().map(|row| line(&row.cells())));
    lines.join("\n")
}

fn line(cells: &[String; 9]) -> String {
    format!("| {} |", cells.join(" | "))
}

/// Puts `block` between the page's markers.
pub(crate) fn write(page: &Path, block: &str) -> Result<()> {
    let text = fs::read_to_string(page)?;
    let parts = text.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.ok_or_else(|| format!("`{}` has no `{BEGIN}` … `{END}`", page.display()))?;
    fs::write(page, format!("{before}{BEGIN}\n\n{block}\n\n{END}{after}"))?;
    Ok(())
}
