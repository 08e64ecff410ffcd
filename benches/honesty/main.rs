//! How often comparisons cry wolf, and how often they see one: `cargo bench --bench honesty -- [--trials N] [--rounds N] [WORKLOAD…]`.
//!
//! Each workload is compared with itself, and with itself slowed by a sleep inside every attempt, many times, by both forms of comparison and by their
//! default gate. The table goes to stdout; docs/comparing.md holds one as it came out.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints what it measured")]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use deadheat::compare::{self, Options, Side, statistics};
use deadheat::diagnostic::SourceFile;
use deadheat::endpoints::{Endpoints, Sources};
use deadheat::plan::{self, Case, Overrides, PlannedScenario};
use deadheat::report::schema::{
    ChangeWord, Comparison, KIND, MetricComparison, Report, Run, RunVerdictWord, SCHEMA, Tool,
};
use deadheat::report::{RunFolder, load_samples};
use deadheat::run::{self, Inputs, LiveSide, OpenTargets, PlannedPair, Stop, Turns};
use deadheat::scenario;
use deadheat::server::find::SearchPath;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const WORKLOADS: [(&str, &str); 3] = [
    ("sqlite", include_str!("sqlite.toml")),
    ("postgres", include_str!("postgres.toml")),
    ("jetstream", include_str!("jetstream.toml")),
];

/// By which shares of the median HEAD is slowed.
const SLOWED: [f64; 4] = [0.0, 0.1, 0.2, 0.5];

/// Rounds by which the median is found.
const CALIBRATION: u64 = 60;

struct Arguments {
    trials: u64,
    rounds: u64,
    workloads: Vec<String>,
}

fn arguments() -> Result<Arguments> {
    let mut parsed = Arguments { trials: 50, rounds: 20, workloads: Vec::new() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|text| text.parse().ok()).ok_or(format!("{word} wants a number"));
        match word.as_str() {
            // Cargo itself adds this.
            "--bench" => {}
            "--trials" => parsed.trials = number()?,
            "--rounds" => parsed.rounds = number()?,
            name if WORKLOADS.iter().any(|(known, _)| *known == name) => parsed.workloads.push(name.to_owned()),
            other => return Err(format!("`{other}` is no workload; there are sqlite, postgres and jetstream").into()),
        }
    }
    Ok(parsed)
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = arguments()?;
    println!("{} trials a row, {} rounds a side\n", arguments.trials, arguments.rounds);
    println!(
        "| workload | form | slowed by | measured | regressed | improved | equivalent | inconclusive | any change seen |"
    );
    println!("|---|---|---:|---:|---:|---:|---:|---:|---:|");
    for (name, text) in WORKLOADS {
        if arguments.workloads.is_empty() || arguments.workloads.iter().any(|wanted| wanted == name) {
            workload(name, text, &arguments).await?;
        }
    }
    Ok(())
}

/// A workload with its servers.
struct Bench {
    text: &'static str,
    endpoints: Endpoints,
    folder: tempfile::TempDir,
    rounds: u64,
}

async fn workload(name: &str, text: &'static str, arguments: &Arguments) -> Result<()> {
    let sources = Sources {
        given: BTreeMap::new(),
        postgres_url: None,
        nats_url: None,
        compose: false,
        search: SearchPath::system(std::env::var_os("PATH").as_deref()),
        allow_remote: false,
    };
    let planned = planned(text, "0ms", 1, "unused")?;
    let endpoints = Endpoints::provide(sources, 2, planned.all_cases()).await?;
    let mut bench = Bench { text, endpoints, folder: tempfile::tempdir()?, rounds: CALIBRATION };
    let calibration = bench.live(["0ms", "0ms"], 1).await?;
    let median_ms = gate(&calibration).base_ns.ok_or("the workload was not measured")? as f64 / 1e6;
    bench.rounds = arguments.rounds;
    eprintln!("{name}: median makespan {median_ms:.1} ms");
    let mut rows: BTreeMap<(usize, &str), Vec<MetricComparison>> = BTreeMap::new();
    let began = Instant::now();
    for trial in 0..arguments.trials {
        // Conditions take turns, so that a busy minute of the machine hits all of them.
        for (index, share) in SLOWED.into_iter().enumerate() {
            let delay = format!("{}ms", (share * median_ms).round());
            let live = bench.live(["0ms", &delay], trial).await?;
            rows.entry((index, "live")).or_default().push(gate(&live).clone());
            let stored = bench.stored(["0ms", &delay], trial).await?;
            rows.entry((index, "stored")).or_default().push(gate(&stored).clone());
        }
        eprintln!("{name}: {} of {} trials, {:?}", trial + 1, arguments.trials, began.elapsed());
    }
    bench.endpoints.close().await?;
    for ((index, form), found) in rows {
        println!("{}", row(name, form, SLOWED[index], median_ms, &found));
    }
    Ok(())
}

fn row(name: &str, form: &str, share: f64, median_ms: f64, found: &[MetricComparison]) -> String {
    let percent = |number: usize| format!("{:.0} %", 100.0 * number as f64 / found.len() as f64);
    let count = |word: ChangeWord| percent(found.iter().filter(|metric| metric.change == word).count());
    let effects = || found.iter().filter_map(|metric| metric.effect.as_ref());
    let centre = (effects().map(|effect| effect.ratio.ln()).sum::<f64>() / found.len() as f64).exp();
    let seen = effects().filter(|effect| (effect.low > 1.0 || effect.high < 1.0) && effect.p < statistics::ALPHA);
    // Sleeps are whole milliseconds.
    let slowed = 100.0 * (share * median_ms).round() / median_ms;
    let cells = [
        name.to_owned(),
        form.to_owned(),
        format!("{slowed:.0} %"),
        format!("{:+.0} %", 100.0 * (centre - 1.0)),
        count(ChangeWord::Regressed),
        count(ChangeWord::Improved),
        count(ChangeWord::Equivalent),
        count(ChangeWord::Inconclusive),
        percent(seen.count()),
    ];
    format!("| {} |", cells.join(" | "))
}

fn gate(comparison: &Comparison) -> &MetricComparison {
    &comparison.cases[0].latency[0]
}

fn planned(text: &str, delay: &str, rounds: u64, run: &str) -> Result<PlannedScenario> {
    let source = SourceFile { name: "honesty.toml".into(), text: text.to_owned() };
    let scenario = scenario::parse(source, Path::new("."))?;
    let overrides = Overrides {
        params: vec![("delay".to_owned(), delay.to_owned())],
        rounds: Some(rounds),
        run: run.to_owned(),
        ..Overrides::default()
    };
    let plan = plan::cases(&scenario, &overrides).map_err(|faults| format!("{faults:?}"))?;
    Ok(PlannedScenario { head: scenario.head.clone(), cases: plan.cases })
}

fn new_report(seed: u64) -> Report {
    Report {
        kind: KIND.to_owned(),
        schema: SCHEMA,
        tool: Tool { name: "deadheat".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
        verdict: RunVerdictWord::Interrupted,
        run: Run {
            id: "honesty".to_owned(),
            started: "1970-01-01T00:00:00Z".to_owned(),
            elapsed_ns: 0,
            seed,
            command: Vec::new(),
            git: None,
            machine: run::machine(),
        },
        scenarios: Vec::new(),
        skipped: Vec::new(),
        warnings: Vec::new(),
        files: Vec::new(),
    }
}

impl Bench {
    /// Races both variants in turns, and compares them in pairs.
    async fn live(&self, delays: [&str; 2], seed: u64) -> Result<Comparison> {
        let run = run::space_prefix();
        let case = |delay: &str, side: &str| -> Result<(Arc<Case>, _)> {
            let planned = planned(self.text, delay, self.rounds, &format!("{run}{side}"))?;
            let case = planned.cases[0].case.clone();
            let sources = case
                .targets
                .iter()
                .map(|target| self.endpoints.source(target))
                .collect::<std::result::Result<_, _>>()?;
            Ok((case, sources))
        };
        let pair = PlannedPair { base: case(delays[0], "b")?, head: case(delays[1], "h")? };
        let side = |side: &str| -> Result<LiveSide> {
            let folder = RunFolder::create(self.folder.path(), &format!("{run}{side}"))?;
            Ok(LiveSide { report: new_report(seed), folder, run: format!("{run}{side}") })
        };
        let mut sides = [side("b")?, side("h")?];
        let turns = Turns { rounds: self.rounds, warm_up: 3, seed };
        let (stop, open) = (Stop::default(), OpenTargets::default());
        let pairs = run::live(&[pair], turns, &mut sides, &stop, &open, &mut |_| {}).await?;
        let options = Options { seed, ..Options::default() };
        Ok(compare::compare_live(&sides[1].report.run, ["base", "head"], &pairs, &options))
    }

    /// Races one variant after the other, each as a run of its own, and compares their reports.
    async fn stored(&self, delays: [&str; 2], seed: u64) -> Result<Comparison> {
        let mut runs = Vec::new();
        for delay in delays {
            let name = run::space_prefix();
            let planned = [planned(self.text, delay, self.rounds, &name)?];
            let mut folder = RunFolder::create(self.folder.path(), &name)?;
            let mut report = new_report(seed);
            let inputs = Inputs {
                run: &name,
                scenarios: &planned,
                endpoints: &self.endpoints,
                options: run::Options::default(),
                stop: &Stop::default(),
                open: &OpenTargets::default(),
            };
            run::run(inputs, &mut report, &mut folder, &mut |_| {}).await?;
            let samples = load_samples(folder.path(), &report)?;
            runs.push((report, samples));
        }
        let [(base, of_base), (head, of_head)] = runs.as_slice() else { return Err("there are two runs".into()) };
        let base = Side { name: "base", report: base, samples: of_base };
        let head = Side { name: "head", report: head, samples: of_head };
        Ok(compare::compare(base, head, &Options { seed, ..Options::default() }))
    }
}
