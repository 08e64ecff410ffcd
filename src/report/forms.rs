//! The other forms of a report, written into its run's folder.

use super::hgrm::{Hgrm, hgrm};
use super::hlog::hlog;
use super::html::{self, HTML_FILE};
use super::junit::junit;
use super::schema::Report;
use super::sinks::{RunFolder, SinkError};
use super::summary::{LIMIT, summary};

/// Writes every form of `report` that a run leaves beside `report.json`.
pub fn write(folder: &RunFolder, report: &Report) -> Result<(), SinkError> {
    folder.write_file(HTML_FILE, &html::render(report))?;
    folder.write_file("junit.xml", &junit(report))?;
    folder.write_file("summary.md", &summary(report, LIMIT))?;
    folder.write_file("latency.hlog", &hlog(report))?;
    for Hgrm { name, text } in hgrm(report).expect("a report that is written was checked to hold whole histograms") {
        folder.write_file(&format!("hgrm/{name}"), &text)?;
    }
    Ok(())
}
