//! The command line's words, and nothing of what they do.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};

use super::again::{self, Again};
use crate::measure::is_metric;
use crate::plan::MAX_CASES;
use crate::scenario::FileAccess;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const EXIT_CODES: &str = "\
Exit codes: 0 pass, 1 failed, 3 regression (of a comparison), 4 inconclusive or every case skipped, 5 not comparable, 10 environment (a server is not reachable, a \
folder not writable), 64 wrong usage or scenario, 130 interrupted.";

const ENVIRONMENT: &str = "\
Environment:
  DEADHEAT_POSTGRES_URL  The PostgreSQL server for targets that name none
  DEADHEAT_NATS_URL      The NATS server for targets that name none
  DEADHEAT_NO_COMPOSE    If set, servers at the ports of docker-compose.yml are left alone
  DEADHEAT_SERVER_ROOT   Look for server programs below this folder instead of `/`, after PATH
  NO_COLOR               If set, nothing is coloured";

/// Races workers against a real database or broker, and checks that exactly the right ones win
#[derive(Debug, Parser)]
#[command(name = "deadheat", version, styles = STYLES, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Race scenarios, and say whether the right ones won
    #[command(after_help = ENVIRONMENT)]
    Run(RunArgs),
    /// Check scenario files without touching a server
    Check(CheckArgs),
    /// List the cases and controls of scenarios
    List(ListArgs),
    /// Print a stored report in any form, without racing anything
    Show(ShowArgs),
    /// Judge the stored rounds of a report by a scenario's expectations as they are now
    Judge(JudgeArgs),
    /// Compare two runs, or with --live two variants raced in turns: counts, verdicts, latency
    Compare(CompareArgs),
    /// Show each case over many runs
    Trend(TrendArgs),
    /// Stop and remove what killed runs left behind: servers and temporary directories
    Clean,
    /// Print the JSON Schema of scenario files, for editors, or of report.json
    Schema(SchemaArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
}

/// Which cases.
#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// Scenario files, or directories to look for them in
    #[arg(default_value = "scenarios", value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Choose only scenarios with this tag; may be given several times [default: all]
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Vec<String>,
    /// Choose only cases whose id contains this text, such as `backend=sqlite`; may be given several times [default: all]
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Vec<String>,
    /// Set a param (`writers=200`), or narrow an axis of the matrix (`backend=memory,sqlite`)
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) param: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) limits: Limits,
}

/// What a scenario may ask for.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Limits {
    /// Largest number of cells in a scenario's matrix, and of controls
    #[arg(long, value_name = "N", default_value_t = MAX_CASES)]
    pub(crate) max_cases: usize,
    /// Let scenarios read SQL files outside their own directories [default: refused]
    #[arg(long)]
    pub(crate) allow_outside: bool,
}

impl Limits {
    /// Which files a scenario may name.
    pub(crate) fn access(self) -> FileAccess {
        if self.allow_outside { FileAccess::Anywhere } else { FileAccess::Below }
    }
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Number of rounds per case [default: from the scenario]
    #[arg(long, value_name = "N", value_parser = rounds)]
    pub(crate) rounds: Option<u64>,
    /// Race all cases over and over for this duration, such as `10m`; each has at least one round [default: one pass]
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub(crate) lasting: Option<Duration>,
    /// Race all cases over and over until a round fails [default: one pass]
    #[arg(long)]
    pub(crate) until_fail: bool,
    /// Seed of the orders in which workers begin [default: random]
    #[arg(long, value_name = "N", value_parser = seed)]
    pub(crate) seed: Option<u64>,
    /// Race one round of a stored run again, with its seed, its params and its order of workers, such as
    /// `reports/2026-11-27T14-06-36#23`; `--filter` chooses among its cases
    #[arg(long, value_name = "REPORT#ROUND", value_parser = again::parse, conflicts_with_all = ["paths", "tag", "param", "rounds", "lasting", "until_fail", "seed"])]
    pub(crate) again: Option<Again>,
    /// URL of a target's server, such as `db=postgres://user@127.0.0.1/test`; may be given several times [default: a server
    /// is found or started]
    #[arg(long, value_name = "NAME=URL", value_parser = pair)]
    pub(crate) target: Vec<(String, String)>,
    /// Allow targets on other machines [default: this machine only]
    #[arg(long)]
    pub(crate) allow_remote: bool,
    /// Directory in which the run's folder is created
    #[arg(long, value_name = "DIR", default_value = "reports")]
    pub(crate) out: PathBuf,
    /// End with exit code 10 when a case has no server [default: the case is skipped]
    #[arg(long)]
    pub(crate) no_skip: bool,
    /// Stop at the first round that fails [default: race all]
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// Print only failures and the end of the run
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Form of the faults
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Form of the list
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// A report.json, or a run's folder [default: the newest run below `reports`]
    pub(crate) report: Option<PathBuf>,
    /// Form of the report
    #[arg(long, value_enum, default_value_t = Form::Terminal)]
    pub(crate) format: Form,
    /// File to write; for `hgrm` a folder, which gets a file for each case and step [default: stdout]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// The forms of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// As a run prints it.
    Terminal,
    /// One page that opens offline.
    Html,
    /// For a CI job's page.
    Markdown,
    /// JUnit XML.
    Junit,
    /// One row for each case and control.
    Csv,
    /// HdrHistogram V2 interval log.
    Hlog,
    /// HdrHistogram percentile text.
    Hgrm,
    /// report.json itself.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct JudgeArgs {
    /// A run's folder, or the report.json in it [default: the newest run below `reports`]
    pub(crate) report: Option<PathBuf>,
    /// Scenario file whose expectations must be met
    #[arg(long, value_name = "FILE")]
    pub(crate) scenario: PathBuf,
    #[command(flatten)]
    pub(crate) limits: Limits,
}

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// File that the schema describes
    #[arg(value_enum, default_value_t = SchemaOf::Scenario)]
    pub(crate) of: SchemaOf,
}

/// The files that have a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaOf {
    /// A scenario file.
    Scenario,
    /// A run's report.json.
    Report,
    /// What `deadheat compare --format json` prints.
    Comparison,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
#[command(after_help = COMPARE_HELP)]
pub(crate) struct CompareArgs {
    /// What was there before: a report.json, a run's folder, or a branch, which means its newest run
    #[arg(value_name = "BASE", required_unless_present = "live", requires = "head")]
    pub(crate) base: Option<String>,
    /// What is compared with it
    #[arg(value_name = "HEAD", required_unless_present = "live")]
    pub(crate) head: Option<String>,
    /// Directory in which the runs of branches are, and in which --live creates its own
    #[arg(long, value_name = "DIR", default_value = "reports")]
    pub(crate) reports: PathBuf,
    /// Form of the comparison
    #[arg(long, value_enum, default_value_t = CompareFormat::Terminal)]
    pub(crate) format: CompareFormat,
    /// Largest share by which a metric may change, such as `makespan=5%`; may be given several times [default: from
    /// the scenario, else 10%, and 20% of a p99]
    #[arg(long, value_name = "METRIC=SHARE", value_parser = threshold)]
    pub(crate) threshold: Vec<(String, f64)>,
    /// What else fails the comparison, next to worse verdicts and changed counts [default: with --live a regression]
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) fail_on: Vec<FailOnWord>,
    /// Compare runs of different machines, servers or worker counts [default: exit code 5]
    #[arg(long, conflicts_with = "live")]
    pub(crate) force: bool,
    /// Seed of the resampling, and with --live of the order [default: random]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Scenario of which two variants are raced in turns on the same servers, instead of comparing stored runs
    #[arg(long, value_name = "SCENARIO", conflicts_with_all = ["base", "head"])]
    pub(crate) live: Option<PathBuf>,
    /// What the variant BASE sets: a param, an axis, or a target's URL
    #[arg(long = "base", value_name = "NAME=VALUE", value_parser = pair, requires = "live", conflicts_with = "base")]
    pub(crate) set_base: Vec<(String, String)>,
    /// What the variant HEAD sets
    #[arg(long = "head", value_name = "NAME=VALUE", value_parser = pair, requires = "live", conflicts_with = "base")]
    pub(crate) set_head: Vec<(String, String)>,
    /// Number of rounds of each variant
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..), requires = "live", conflicts_with = "base")]
    pub(crate) rounds: u64,
    /// Number of rounds of each variant that are raced first and do not count
    #[arg(long, value_name = "N", default_value_t = 3, requires = "live", conflicts_with = "base")]
    pub(crate) warm_up: u64,
    /// Set a param of both variants, or narrow an axis
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair, requires = "live", conflicts_with = "base")]
    pub(crate) param: Vec<(String, String)>,
    /// Choose only cases whose id contains this text; may be given several times [default: all]
    #[arg(long, value_name = "TEXT", requires = "live", conflicts_with = "base")]
    pub(crate) filter: Vec<String>,
    /// URL of a target's server, for both variants; may be given several times [default: a server is found or started]
    #[arg(long, value_name = "NAME=URL", value_parser = pair, requires = "live", conflicts_with = "base")]
    pub(crate) target: Vec<(String, String)>,
    /// Allow targets on other machines [default: this machine only]
    #[arg(long, requires = "live", conflicts_with = "base")]
    pub(crate) allow_remote: bool,
    /// Largest number of cells in the scenario's matrix, and of controls
    #[arg(long, value_name = "N", default_value_t = MAX_CASES, requires = "live", conflicts_with = "base")]
    pub(crate) max_cases: usize,
    /// Let the scenario read SQL files outside its own directory [default: refused]
    #[arg(long, requires = "live", conflicts_with = "base")]
    pub(crate) allow_outside: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TrendArgs {
    /// Directory that holds the runs' folders
    #[arg(default_value = "reports", value_name = "DIR")]
    pub(crate) reports: PathBuf,
    /// Show only runs of this branch [default: all]
    #[arg(long, value_name = "NAME")]
    pub(crate) branch: Option<String>,
    /// Choose only cases whose id contains this text; may be given several times [default: all]
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Vec<String>,
    /// Number of the newest runs that are shown
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = last)]
    pub(crate) last: usize,
    /// File that gets a page with a chart for each case [default: none]
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

const COMPARE_HELP: &str = "\
Worse verdicts and changed counts fail a comparison (exit code 3). Latency fails it with --live, or when --fail-on says so. \
Runs that are not comparable end with 5, what cannot be read with 64.

  deadheat compare main my-branch
  deadheat compare reports/2026-01-31T12-00-00-main-1a2b3c4 reports/2026-02-01T09-30-00-fix-5d6e7f8 --format html > compare.html
  deadheat compare --live scenarios/event-store/version-conflict.toml --base guard=mutex --head guard=server
  deadheat compare --live scenarios/basics/lost-update.toml --base target:db=postgres://127.0.0.1:5432/a --head target:db=postgres://127.0.0.1:5433/a";

/// How a comparison is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CompareFormat {
    /// For people.
    Terminal,
    /// For job summaries and pull requests.
    Markdown,
    /// For programs.
    Json,
    /// One page that opens offline.
    Html,
}

/// What else fails a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOnWord {
    /// A gate metric that regressed.
    Regression,
    /// Any change, for the better too.
    Change,
    /// A gate metric about which nothing can be said.
    Inconclusive,
}

/// A number of runs.
fn last(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "wanted a number of runs, at least 1".to_owned())
}

/// `makespan=5%`, `makespan=0.05`.
fn threshold(text: &str) -> Result<(String, f64), String> {
    let (metric, share) = pair(text).map_err(|_| "wanted METRIC=SHARE, such as `makespan=5%`".to_owned())?;
    if !is_metric(&metric) {
        return Err(format!(
            "`{metric}` is not a metric; there are makespan, p50, p99, and a step's, such as append.p50"
        ));
    }
    let (number, unit) = share.strip_suffix('%').map_or((share.as_str(), 1.0), |number| (number, 100.0));
    let parsed = number.trim().parse::<f64>().ok().map(|number| number / unit);
    let share = parsed.filter(|share| (0.0..10.0).contains(share));
    // Of a number without a unit it is not sure whether it means percent.
    let share = share.filter(|share| unit > 1.0 || *share < 1.0);
    share.map(|share| (metric, share)).ok_or_else(|| format!("`{number}` is not a share; write `5%` or `0.05`"))
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        // A name before the first `=` of a URL is a piece of the URL.
        Some((name, value)) if !name.is_empty() && !name.contains("://") && !name.contains('@') => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err("wanted NAME=VALUE".to_owned()),
    }
}

fn rounds(text: &str) -> Result<u64, String> {
    text.parse().ok().filter(|rounds| *rounds > 0).ok_or_else(|| "wanted a whole number of at least 1".to_owned())
}

fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("wanted a whole number from 0 to {}, as runs print it", u64::MAX))
}

fn duration(text: &str) -> Result<Duration, String> {
    let wanted = || "wanted a duration such as `30s`, `10m` or `2h`".to_owned();
    let parsed: jiff::SignedDuration = text.parse().map_err(|_| wanted())?;
    Duration::try_from(parsed).ok().filter(|duration| !duration.is_zero()).ok_or_else(wanted)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn thresholds_are_shares() {
        assert_eq!(threshold("makespan=5%"), Ok(("makespan".to_owned(), 0.05)));
        assert_eq!(threshold("append.p99=0.3"), Ok(("append.p99".to_owned(), 0.3)));
        assert!(["makespan", "makespan=x", "makespan=-1%", "mean=5%"].into_iter().all(|text| threshold(text).is_err()));
    }

    #[test]
    fn pairs_and_durations_are_read() {
        assert_eq!(pair("db=postgres://h/?a=b"), Ok(("db".to_owned(), "postgres://h/?a=b".to_owned())));
        assert!(pair("writers").is_err());
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        assert!(duration("soon").is_err());
        assert!(duration("-5s").is_err());
    }
}
