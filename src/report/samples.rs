//! Reads `rounds.csv` and `steps.csv` back: one value per round for each metric, checked against the report they lie beside.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::cells;
use super::data_file::{DataFileError, open};
use super::load::REPORT_FILE;
use super::rows::first_outcomes;
use super::schema::{Counts, OutcomeWord, Report, SchemaVersion};

/// Rounds tell their outcomes by group from this version on.
const GROUPS_SINCE: SchemaVersion = SchemaVersion { major: 1, minor: 1 };

/// A metric's value in nanoseconds by round.
pub type RoundValues = BTreeMap<u64, f64>;

/// What the rounds of a run's cases measured: case id → metric → round → nanoseconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Samples {
    /// `makespan`, `p50`, `p99`, and a step's, such as `append.p50`.
    pub cases: BTreeMap<String, BTreeMap<String, RoundValues>>,
    /// Case id → how many of its rounds ended in each mix of outcomes by group, such as `adder (1 success), remover (1 deadlock)`. Cases of one
    /// group have none, nor have reports of schema 1.0.
    pub groups: BTreeMap<String, BTreeMap<String, u64>>,
}

/// The rounds of a report could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read `{}`: {kind}", path.display())]
pub struct SamplesError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub kind: SamplesErrorKind,
}

/// Why the rounds of a report could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SamplesErrorKind {
    /// It is not what the run wrote.
    #[error(transparent)]
    File(#[from] DataFileError),
    /// It is not a table as it should be.
    #[error("{0}; it was changed or damaged, so use another run")]
    Malformed(String),
}

/// Reads the rounds of `report`, which was loaded from `path`: its file, or the run's folder.
pub fn load_samples(path: &Path, report: &Report) -> Result<Samples, SamplesError> {
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new("")) };
    let mut samples = Samples::default();
    let file = folder.join("rounds.csv");
    let told = |kind| SamplesError { path: file.clone(), kind };
    let (counts, ahead) = read(&file, report).and_then(|text| rounds(&text, &mut samples, report)).map_err(told)?;
    for case in report.scenarios.iter().flat_map(|scenario| &scenario.cases) {
        let (found, found_rounds) = counts.get(&case.id).cloned().unwrap_or_default();
        if found != case.race.counts || found_rounds != case.race.rounds {
            let message = format!("its rows of `{}` do not add up to the counts in {REPORT_FILE}", case.id);
            return Err(told(SamplesErrorKind::Malformed(message)));
        }
    }
    let file = folder.join("steps.csv");
    let told = |kind| SamplesError { path: file.clone(), kind };
    read(&file, report).and_then(|text| steps(&text, &mut samples, &ahead)).map_err(told)?;
    Ok(samples)
}

fn read(path: &Path, report: &Report) -> Result<Vec<u8>, SamplesErrorKind> {
    let mut bytes = Vec::new();
    open(path, report)?.read_to_end(&mut bytes).map_err(DataFileError::Io)?;
    Ok(bytes)
}

/// A table with the places of the columns that are wanted.
struct Rows<'a> {
    reader: csv::Reader<&'a [u8]>,
    columns: Vec<usize>,
}

impl<'a> Rows<'a> {
    fn new(bytes: &'a [u8], wanted: &[&str]) -> Result<Self, SamplesErrorKind> {
        let mut reader = csv::Reader::from_reader(bytes);
        let headers = reader.headers().map_err(malformed)?;
        let place = |name: &&str| {
            headers
                .iter()
                .position(|header| header == *name)
                .ok_or_else(|| SamplesErrorKind::Malformed(format!("it has no column `{name}`")))
        };
        let columns = wanted.iter().map(place).collect::<Result<_, _>>()?;
        Ok(Rows { reader, columns })
    }

    /// Calls `row` with the wanted columns of each row that is not a control's, which must be the first of them.
    fn each(&mut self, mut row: impl FnMut(&[&str]) -> Result<(), SamplesErrorKind>) -> Result<(), SamplesErrorKind> {
        let mut record = csv::StringRecord::new();
        while self.reader.read_record(&mut record).map_err(malformed)? {
            let fields: Vec<&str> = self.columns.iter().map(|column| &record[*column]).collect();
            if cells::read_control(fields[0]).is_empty() {
                row(&fields)?;
            }
        }
        Ok(())
    }
}

fn malformed(error: csv::Error) -> SamplesErrorKind {
    SamplesErrorKind::Malformed(error.to_string())
}

fn number<T: std::str::FromStr>(field: &str) -> Result<T, SamplesErrorKind> {
    field.parse().map_err(|_| SamplesErrorKind::Malformed(format!("`{field}` is not a number")))
}

/// Nanoseconds from microseconds; an empty field is not a value.
fn add(
    samples: &mut BTreeMap<String, RoundValues>,
    metric: &str,
    round: u64,
    field: &str,
) -> Result<(), SamplesErrorKind> {
    if !field.is_empty() {
        let values = match samples.get_mut(metric) {
            Some(values) => values,
            None => samples.entry(metric.to_owned()).or_default(),
        };
        values.insert(round, number::<f64>(field)? * 1_000.0);
    }
    Ok(())
}

/// The column that says for how long others were held back; empty in a round without a head start. Since 1.4.
const HEAD_START: &str = "head_start_us";

fn has_column(bytes: &[u8], name: &str) -> Result<bool, SamplesErrorKind> {
    let mut reader = csv::Reader::from_reader(bytes);
    Ok(reader.headers().map_err(malformed)?.iter().any(|header| header == name))
}

/// The outcomes that have columns: those of schema 1.0, and what of later ones is there.
fn outcomes(bytes: &[u8], report: &Report) -> Result<Vec<OutcomeWord>, SamplesErrorKind> {
    let mut reader = csv::Reader::from_reader(bytes);
    let headers = reader.headers().map_err(malformed)?;
    let first: Vec<OutcomeWord> = first_outcomes().map(OutcomeWord::from).collect();
    let counted = report.scenarios.iter().flat_map(|scenario| &scenario.cases).flat_map(|case| case.race.counts.keys());
    let later: BTreeSet<OutcomeWord> = counted.copied().filter(|outcome| !first.contains(outcome)).collect();
    let is_there = |outcome: &OutcomeWord| headers.iter().any(|header| header == outcome.as_str().replace('-', "_"));
    Ok(first.into_iter().chain(later.into_iter().filter(is_there)).collect())
}

/// Rounds in which some workers had a head start, by case and number: they measure nothing.
type HeadStarts = BTreeSet<(String, u64)>;

/// Each case's counts and number of rounds.
type CaseCounts = BTreeMap<String, (Counts, u64)>;

/// Adds makespans and medians to `samples`.
fn rounds(bytes: &[u8], samples: &mut Samples, report: &Report) -> Result<(CaseCounts, HeadStarts), SamplesErrorKind> {
    let outcomes = outcomes(bytes, report)?;
    let columns: Vec<String> = outcomes.iter().map(|outcome| outcome.as_str().replace('-', "_")).collect();
    let mut wanted = vec!["control", "case", "round", "makespan_us", "attempt_p50_us"];
    wanted.extend(columns.iter().map(String::as_str));
    let by_group = report.schema >= GROUPS_SINCE;
    wanted.extend(by_group.then_some("groups"));
    let has_head_starts = has_column(bytes, HEAD_START)?;
    wanted.extend(has_head_starts.then_some(HEAD_START));
    let (mut counts, mut ahead) = (CaseCounts::new(), HeadStarts::new());
    Rows::new(bytes, &wanted)?.each(|row| {
        let round = number(row[2])?;
        let name = cells::read(row[1]);
        let (row, head_start) = if has_head_starts { row.split_at(row.len() - 1) } else { (row, &[""][..]) };
        if head_start == [""] {
            let case = samples.cases.entry(name.to_owned()).or_default();
            add(case, "makespan", round, row[3])?;
            add(case, "p50", round, row[4])?;
        } else {
            ahead.insert((name.to_owned(), round));
        }
        let (sum, rounds) = counts.entry(name.to_owned()).or_default();
        *rounds += 1;
        for (outcome, field) in outcomes.iter().zip(&row[5..]) {
            let count: u64 = number(field)?;
            if count > 0 {
                *sum.entry(*outcome).or_default() += count;
            }
        }
        if let Some(groups) = row.last().filter(|groups| by_group && !groups.is_empty()) {
            let mixes = samples.groups.entry(name.to_owned()).or_default();
            *mixes.entry(group_mix(groups)?).or_default() += 1;
        }
        Ok(())
    })?;
    Ok((counts, ahead))
}

/// `adder (1 success), remover (1 deadlock)`, of a round's `groups`.
fn group_mix(groups: &str) -> Result<String, SamplesErrorKind> {
    let groups: BTreeMap<String, Counts> = serde_json::from_str(groups)
        .map_err(|error| SamplesErrorKind::Malformed(format!("`{groups}` does not tell outcomes by group: {error}")))?;
    let told = groups.into_iter().map(|(group, counts)| {
        let counts: Vec<String> = counts.into_iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
        format!("{group} ({})", counts.join(", "))
    });
    Ok(told.collect::<Vec<_>>().join(", "))
}

/// Adds the p99 of attempts, and the p50 and p99 of steps.
fn steps(bytes: &[u8], samples: &mut Samples, ahead: &HeadStarts) -> Result<(), SamplesErrorKind> {
    let wanted = ["control", "case", "round", "step", "own_p50_us", "own_p99_us", "release_p99_us"];
    Rows::new(bytes, &wanted)?.each(|row| {
        let round = number(row[2])?;
        let name = cells::read(row[1]).to_owned();
        if ahead.contains(&(name.clone(), round)) {
            return Ok(());
        }
        let case = samples.cases.entry(name).or_default();
        match cells::read(row[3]) {
            "attempt" => add(case, "p99", round, row[6]),
            step => {
                add(case, &format!("{step}.p50"), round, row[4])?;
                add(case, &format!("{step}.p99"), round, row[5])
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::fixture::{TestCase, record};
    use crate::judge::judge_round;
    use crate::model::record::HeadStart;
    use crate::report::{RunFolder, example};

    /// A run's folder whose data files are those of the example report's case.
    fn folder(rounds: usize) -> (tempfile::TempDir, PathBuf, Report) {
        let directory = tempfile::tempdir().unwrap();
        let mut folder = RunFolder::create(directory.path(), "run").unwrap();
        let case = TestCase::new(3).expect("success = 1, conflict = 2").build();
        for round in 0..rounds {
            let record = record(&case, round as u64, "1 success, 2 conflict");
            folder.add_round(&case, &record, &judge_round(&case, &record), None).unwrap();
        }
        let mut report = example::report();
        folder.write_report(&mut report).unwrap();
        let path = folder.path().to_owned();
        (directory, path, report)
    }

    #[test]
    fn rounds_of_several_groups_are_counted_by_their_groups_outcomes() {
        let directory = tempfile::tempdir().unwrap();
        let mut folder = RunFolder::create(directory.path(), "run").unwrap();
        let case = TestCase::groups(&[("adder", 1), ("remover", 1)]).build();
        for (round, outcomes) in (0..).zip(["1 success, 1 conflict", "1 success, 1 conflict", "2 success"]) {
            let record = record(&case, round, outcomes);
            folder.add_round(&case, &record, &judge_round(&case, &record), None).unwrap();
        }
        folder.write_report(&mut example::report()).unwrap();
        let bytes = std::fs::read(folder.path().join("rounds.csv")).unwrap();
        let mut samples = Samples::default();
        rounds(&bytes, &mut samples, &example::report()).unwrap();
        let mixes = [("adder (1 success), remover (1 conflict)", 2), ("adder (1 success), remover (1 success)", 1)];
        let mixes = mixes.map(|(mix, rounds)| (mix.to_owned(), rounds)).into();
        assert_eq!(samples.groups, [(case.id.clone(), mixes)].into());
        let mut older = Samples::default();
        rounds(&bytes, &mut older, &Report { schema: SchemaVersion { major: 1, minor: 0 }, ..example::report() })
            .unwrap();
        assert_eq!(older.groups, BTreeMap::new(), "1.0 has no such column");
    }

    fn error(path: &Path, report: &Report) -> String {
        load_samples(path, report).unwrap_err().to_string()
    }

    #[test]
    fn every_metric_has_a_value_per_round() {
        let (_directory, path, report) = folder(3);
        let samples = load_samples(&path, &report).unwrap();
        let case = &samples.cases["race[backend=memory]"];
        assert_eq!(case["makespan"].len(), 3);
        assert_eq!(case["p50"].len(), 3);
        assert!(case["makespan"].values().all(|value| *value > 0.0));
        assert!(!case.contains_key("p99"), "three attempts have no p99");
        assert_eq!(load_samples(&path.join(REPORT_FILE), &report).unwrap(), samples);
    }

    #[test]
    fn a_round_with_a_head_start_is_counted_and_measures_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let mut folder = RunFolder::create(directory.path(), "run").unwrap();
        let case = TestCase::new(3).expect("success = 1, conflict = 2").build();
        for round in 0..3 {
            let mut record = record(&case, round, "1 success, 2 conflict");
            record.head_start = (round == 1).then(|| HeadStart { ahead: vec![0], lead_ns: 0 });
            folder.add_round(&case, &record, &judge_round(&case, &record), None).unwrap();
        }
        let mut report = example::report();
        folder.write_report(&mut report).unwrap();
        let samples = load_samples(folder.path(), &report).unwrap();
        for (metric, values) in &samples.cases["race[backend=memory]"] {
            assert_eq!(values.keys().copied().collect::<Vec<u64>>(), [0, 2], "{metric}");
        }
    }

    #[test]
    fn what_is_missing_cut_or_changed_is_said_with_a_remedy() {
        let (_directory, path, report) = folder(3);
        let file = path.join("rounds.csv");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("{text}one more row")).unwrap();
        assert!(load_samples(&path, &report).is_ok(), "what came after the report is not its own");
        std::fs::write(&file, &text[..text.len() - 9]).unwrap();
        assert!(error(&path, &report).contains("; the copy is incomplete"), "{}", error(&path, &report));
        std::fs::write(&file, text.replacen("memory", "memorx", 1)).unwrap();
        assert!(error(&path, &report).contains("its SHA-256 is not the one in the report"));
        std::fs::remove_file(&file).unwrap();
        assert!(error(&path, &report).contains("rounds.csv`: it is not beside the report"));
        std::fs::write(&file, &text).unwrap();
        std::fs::remove_file(path.join("steps.csv")).unwrap();
        assert!(error(&path, &report).contains("steps.csv`: it is not beside the report"));
        let (_directory, path, report) = folder(2);
        assert!(error(&path, &report).contains("do not add up to the counts"), "{}", error(&path, &report));
        let unlisted = Report { files: Vec::new(), ..report };
        assert!(error(&path, &unlisted).contains("the report does not name it"));
    }
}
