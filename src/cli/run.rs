//! `deadheat run`: the main job.

use std::time::{Duration, Instant};

use super::Failure;
use super::args::RunArgs;
use super::output::Output;
use super::progress::Progress;
use super::select::{self, Purpose};
use super::{again, ci, limits, signals};
use crate::api::from_environment;
use crate::duration::as_ns;
use crate::engine::{Cores, EngineError, Steering};
use crate::judge::RunVerdict;
use crate::model::Case;
use crate::plan::PlannedScenario;
use crate::report::html::HTML_FILE;
use crate::report::schema::Report;
use crate::report::{RunFolder, forms, run_name, terminal};
use crate::run::endpoints::{EndpointError, Endpoints, Sources};
use crate::run::{self, Again, Event, Inputs, OpenTargets, Options, RunError, Stop};
use crate::secrets;
use crate::server::leftover;

/// How long the second Ctrl-C gives to what can be removed at once.
pub(super) const TEARDOWN_LIMIT: Duration = Duration::from_secs(2);

/// How long an interrupted run waits for threads that it has given up on, such as one that looks up a host.
const GIVEN_UP_LIMIT: Duration = Duration::from_millis(500);

/// How long after a server's failure a private one may take to be seen dead.
const DEAD_SERVER_PATIENCE: Duration = Duration::from_secs(1);

/// What is to be done.
struct Job<'a> {
    began: Instant,
    args: &'a RunArgs,
    /// Names the run in schemas and streams.
    run: &'a str,
    planned: &'a [PlannedScenario],
    /// The round of another run to race once more.
    again: Option<&'a Again>,
    output: &'a Output,
}

pub(crate) fn exec(args: &RunArgs, output: &Output) -> Result<RunVerdict, Failure> {
    let began = Instant::now();
    let run = run::namespace_prefix();
    let (planned, seed, again) = match &args.again {
        Some(again) => {
            let (planned, seed, again) = again::plan(again, args, &run, output)?;
            (planned, Some(seed), Some(again))
        }
        None => (select::plan(&args.selection, args.rounds, &run, Purpose::Use, output)?, args.seed, None),
    };
    let sources = sources(&args.target, args.allow_remote);
    sources.check(planned.iter().flat_map(PlannedScenario::all_cases)).map_err(not_provided)?;
    limits::make_room(planned.iter()).map_err(|message| Failure::new(RunVerdict::Environment, message))?;
    let mut report = new_report(seed);
    report.not_raced = planned.iter().flat_map(|scenario| &scenario.cases).map(|it| it.case.id.clone()).collect();
    let name = run_name(&report.run.started, report.run.git.as_ref());
    let mut folder =
        RunFolder::create(&args.out, &name).map_err(|error| Failure::new(RunVerdict::Environment, error))?;
    report.run.id = folder.path().file_name().map_or(name, |name| name.to_string_lossy().into_owned());
    let runtime = limits::runtime()?;
    let job = Job { began, args, run: &run, planned: &planned, again: again.as_ref(), output };
    let ended = runtime.block_on(race(job, sources, &mut report, &mut folder));
    let verdict = ended.as_ref().map_or_else(|failure| failure.verdict, |verdict| *verdict);
    shut_down(runtime, verdict);
    ended
}

/// Ends the threads; whatever still blocks one has been given up on.
pub(super) fn shut_down(runtime: tokio::runtime::Runtime, ended: RunVerdict) {
    runtime.shutdown_timeout(if ended == RunVerdict::Interrupted { GIVEN_UP_LIMIT } else { TEARDOWN_LIMIT });
}

/// The threads on which workers race.
pub(super) fn cores() -> Result<Cores, Failure> {
    Cores::of_this_machine().map_err(|error| Failure::new(RunVerdict::Environment, limits::no_threads(&error)))
}

/// Returns when the run should have ended at once, and did not.
pub(super) async fn overdue(stop: &Stop) {
    stop.now().await;
    tokio::time::sleep(TEARDOWN_LIMIT).await;
}

async fn race(
    job: Job<'_>,
    sources: Sources,
    report: &mut Report,
    folder: &mut RunFolder,
) -> Result<RunVerdict, Failure> {
    let Job { began, args, output, .. } = job;
    let stop = Stop::default();
    signals::listen(stop.clone(), *output)
        .map_err(|error| Failure::new(RunVerdict::Environment, format!("cannot listen for Ctrl-C: {error}")))?;
    sweep(output, &stop).await;
    let mut progress = Progress::new(*output, args.quiet);
    let open = OpenTargets::default();
    let ended = {
        let mut on_event = |event: Event<'_>| progress.on_event(event);
        let running = provide_and_run(&job, sources, &stop, &open, report, folder, &mut on_event);
        tokio::select! {
            ended = running => ended,
            () = overdue(&stop) => Err(Failure::new(RunVerdict::Interrupted, "")),
        }
    };
    progress.end();
    tear_down(&open, job.run, output).await;
    // Before the footer: it says how the run ended, and that depends on this.
    let ended = ended.and_then(|verdict| match forms::write(folder, report) {
        Ok(()) => Ok(verdict),
        Err(error) => Err(environment_besides(report, error)),
    });
    if let Err(failure) = &ended {
        report.verdict = failure.verdict.into();
        report.run.elapsed_ns = as_ns(began.elapsed());
    }
    output.data(&terminal::run_footer(report, output.style));
    let mut written = Ok(());
    if let Err(failure) = &ended {
        // It is printed at the end of all; only the report holds it from here on.
        report.error = Some(failure.message.clone()).filter(|message| !message.is_empty());
        written = folder.write_report(report).and_then(|()| forms::write(folder, report));
    }
    // Whatever became of the files: a CI service shows what it is told here, and nothing else.
    ci::announce(report, output);
    // If they cannot be written, the error that ended the run is the one to tell.
    if written.is_ok() {
        output.data(&format!("report: {}\n", folder.path().join(HTML_FILE).display()));
    }
    ended
}

async fn provide_and_run(
    job: &Job<'_>,
    sources: Sources,
    stop: &Stop,
    open: &OpenTargets,
    report: &mut Report,
    folder: &mut RunFolder,
    on_event: &mut (dyn FnMut(Event<'_>) + Send),
) -> Result<RunVerdict, Failure> {
    let Job { began, args, run, planned, again, .. } = *job;
    let cases = planned.iter().flat_map(PlannedScenario::all_cases);
    let cores = &cores()?;
    let endpoints = provide(sources, 1, cases, stop).await?;
    let options = Options {
        lasting: args.lasting,
        until_fail: args.until_fail,
        fail_fast: args.fail_fast,
        no_skip: args.no_skip,
    };
    let inputs = Inputs {
        began,
        run,
        scenarios: planned,
        endpoints: &endpoints,
        options,
        again,
        steering: &Steering::default(),
        stop,
        open,
        cores,
    };
    let raced = run::run(inputs, report, folder, on_event).await;
    let raced = match raced {
        Ok(()) => Ok(()),
        Err(error) => Err(failure(&error, &endpoints, report, stop).await),
    };
    let closed = endpoints.close().await;
    raced?;
    closed.map_err(|error| environment_besides(report, error))?;
    match RunVerdict::from(report.verdict) {
        // The run itself has come to its end: what is missing are the servers of skipped cases.
        RunVerdict::Environment => {
            let skipped = report.skipped.len();
            let message = format!("{skipped} skipped for want of a server, which `--no-skip` makes a failure");
            Err(Failure::new(RunVerdict::Environment, message))
        }
        verdict => Ok(verdict),
    }
}

/// What the user said of servers makes no sense, or a private server did not start.
pub(super) fn not_provided(error: EndpointError) -> Failure {
    Failure::new(error.verdict(), error)
}

/// What ended the run, with the last words of servers that died.
async fn failure(error: &RunError, endpoints: &Endpoints, report: &Report, stop: &Stop) -> Failure {
    let failed = report.scenarios.iter().flat_map(|scenario| &scenario.cases);
    let failed = failed.map(|case| RunVerdict::from(crate::judge::Verdict::from(case.verdict)));
    let interrupted = stop.is_asked().then_some(RunVerdict::Interrupted);
    let causes = failed.chain([error.verdict()]).chain(interrupted);
    Failure::new(RunVerdict::decide(causes), with_dead_servers(error, endpoints).await)
}

/// Trouble with the surroundings after the races: it does not hide what they proved.
fn environment_besides(report: &Report, error: impl std::fmt::Display) -> Failure {
    Failure::new(RunVerdict::decide([report.verdict.into(), RunVerdict::Environment]), error)
}

/// An error. If private servers died, that comes first: it is the cause, and the error only how the run noticed.
pub(super) async fn with_dead_servers(error: &RunError, endpoints: &Endpoints) -> String {
    let is_of_a_server =
        matches!(error.cause(), RunError::Engine(EngineError::Environment { .. } | EngineError::Lost { .. }));
    let patience = if is_of_a_server { DEAD_SERVER_PATIENCE } else { Duration::ZERO };
    let dead_servers = endpoints.dead_servers(patience).await;
    if dead_servers.is_empty() {
        return error.to_string();
    }
    format!(
        "{}\nrun again; a server that ends again says why in its log\nthe run noticed by: {}",
        dead_servers.join("\n"),
        error.cause()
    )
}

/// Finds or starts the servers of `cases`, of which `at_once` are raced side by side.
pub(super) async fn provide<'a>(
    sources: Sources,
    at_once: usize,
    cases: impl Iterator<Item = &'a Case> + Clone,
    stop: &Stop,
) -> Result<Endpoints, Failure> {
    let provided = async { Ok::<_, RunError>(Endpoints::provide(sources, at_once, cases).await) };
    let provided = stop.unless_asked(provided).await.map_err(|_| Failure::new(RunVerdict::Interrupted, ""))?;
    provided.map_err(not_provided)
}

/// Closes what is still set up, and says what stays behind.
pub(super) async fn tear_down(open: &OpenTargets, run: &str, output: &Output) {
    for left in open.close(TEARDOWN_LIMIT).await {
        output.warning(&format!("{left}; its name begins with `{run}`"));
    }
}

/// Removes what runs that were killed left behind. A fresh start does not depend on it.
pub(super) async fn sweep(output: &Output, stop: &Stop) {
    let swept = tokio::select! {
        swept = tokio::task::spawn_blocking(leftover::sweep) => swept,
        () = stop.asked() => return,
    };
    if let Ok(swept) = swept {
        swept.removed.iter().for_each(|removed| output.note(&removed.to_string()));
        swept.failed.iter().for_each(|error| output.warning(&error.to_string()));
    }
}

pub(super) fn sources(targets: &[(String, String)], allow_remote: bool) -> Sources {
    from_environment(targets.iter().cloned().collect(), allow_remote)
}

/// The report of a run that begins now.
pub(super) fn new_report(seed: Option<u64>) -> Report {
    // 32 bits are enough to tell runs apart, and are read back exactly by every JSON reader.
    let mut report = run::new_report(seed.unwrap_or_else(|| u64::from(rand::random::<u32>())), command_line());
    if let Some(git) = &mut report.run.git {
        git.branch = branch(&git.branch, |name| std::env::var(name).ok());
    }
    report
}

/// What git says where no branch is checked out.
const DETACHED: &str = "HEAD";

/// CI services check out a commit and not a branch, and say in a variable which branch it is of.
fn branch(found: &str, variable: impl Fn(&str) -> Option<String>) -> String {
    let told = ["GITHUB_HEAD_REF", "GITHUB_REF_NAME", "CI_COMMIT_REF_NAME"].into_iter().filter_map(variable);
    let told = told.filter(|_| found == DETACHED).find(|name| !name.is_empty());
    told.unwrap_or_else(|| found.to_owned())
}

/// The command line as it may be shown: URLs lose their credentials.
fn command_line() -> Vec<String> {
    std::env::args_os().map(|argument| shown(&argument.to_string_lossy())).collect()
}

/// An argument as it may be shown, of `--target db=URL` and `--target=db=URL` with the names.
pub(super) fn shown(argument: &str) -> String {
    match argument.split_once('=') {
        Some((name, rest))
            if secrets::shown(name) == name && !name.contains(['@', ':', ' ']) && !is_login_key(name) =>
        {
            format!("{name}={}", shown(rest))
        }
        Some((name, rest)) if name.starts_with("target:") && !name.contains('@') => format!("{name}={}", shown(rest)),
        _ => secrets::shown(argument),
    }
}

/// Whether a value after this name may be a password: `--target db=password=…`.
fn is_login_key(name: &str) -> bool {
    ["password", "passwd"].iter().any(|key| name.eq_ignore_ascii_case(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_that_ci_checked_out_is_of_the_branch_that_ci_names() {
        let told = |found: &str, variables: &[(&str, &str)]| {
            let value = |name: &str| variables.iter().find(|(other, _)| *other == name);
            branch(found, |name| value(name).map(|(_, value)| (*value).to_owned()))
        };
        let pull_request = [("GITHUB_HEAD_REF", "fix/lock"), ("GITHUB_REF_NAME", "12/merge")];
        assert_eq!(told("HEAD", &pull_request), "fix/lock");
        assert_eq!(told("HEAD", &[("GITHUB_HEAD_REF", ""), ("GITHUB_REF_NAME", "main")]), "main");
        assert_eq!(told("HEAD", &[("CI_COMMIT_REF_NAME", "main")]), "main");
        assert_eq!(told("HEAD", &[]), "HEAD");
        assert_eq!(told("local", &pull_request), "local");
    }

    #[test]
    fn credentials_never_reach_the_command_line_that_is_shown() {
        assert_eq!(shown("run"), "run");
        assert_eq!(shown("db=postgres://u:s3cret@h:1/d?password=s3cret"), "db=postgres://h:1/d");
        assert_eq!(shown("--target=db=nats://token@h:1"), "--target=db=nats://h:1");
        assert_eq!(shown("target:db=postgres://u:s3cret@h/d"), "target:db=postgres://h/d");
        assert_eq!(shown("writers=3"), "writers=3");
        for argument in [
            "db=u:s3cret@h/d",
            "db=postgres://u:p@s3cret@h/d",
            "db=host=h password=s3cret",
            "postgres://u:s3cret@h?a=b",
        ] {
            assert!(!shown(argument).contains("s3cret"), "{argument}");
        }
    }
}
