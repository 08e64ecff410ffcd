//! A round as a picture: one lane per worker over a common time axis.
//!
//! Across, everything is in percent of the axis, so that the picture fits any page and can be stretched without scaling its text; down,
//! in pixels. Each element carries what it says as its `<title>`; `view.js` shows it on hover, focus and tap.

use maud::{Markup, html};

use super::super::schema::{
    ArrivalReport, ArrivalWord, AttemptReport, BarrierRoundReport, GroupReport, OutcomeWord, RoundReport,
    StepRoundReport,
};
use super::super::trace::missing;
use super::super::words::{ns, shortened};
use super::plot::round_step;
use super::{look, marks, word};

/// Height of the axis' ticks, and of each row of barrier names.
const ROW: usize = 15;

/// How many characters of what a step asked, and of what it got, are shown at most.
const EXCHANGE_MAX: usize = 160;

/// The timeline of a round, with its legend, and with what broke a barrier.
pub(super) fn timeline(round: &RoundReport, groups: &[GroupReport]) -> Markup {
    let Some(view) = View::of(round) else { return html! {} };
    let lanes: Vec<Markup> = round.attempts.iter().enumerate().map(|(row, attempt)| view.lane(row, attempt)).collect();
    let flags = view.flags();
    let head = ROW * (1 + flags.iter().map(|flag| flag.row + 1).max().unwrap_or(0));
    let height = head + view.lane_height * round.attempts.len() + 2;
    let style = format!("--lane:{}px;--head:{head}px", view.lane_height);
    html! {
        div class=(if view.is_dense() { "timeline dense" } else { "timeline" }) style=(style) {
            ul.names {
                @for (row, attempt) in round.attempts.iter().enumerate() {
                    li { @if !view.is_dense() { (attempt.group) " " (attempt.worker) } @else if view.is_named(row) { (attempt.worker) } }
                }
            }
            div.lanes {
                svg width="100%" height=(height) role="group" aria-label=(view.description(groups)) {
                    (view.axis(head, height))
                    @for flag in &flags { (view.barrier(flag, head, height)) }
                    svg y=(head) width="100%" overflow="visible" { @for lane in &lanes { (lane) } @if !view.is_dense() { (view.blockings()) } }
                }
            }
            @if !view.is_dense() {
                ul.ends { @for attempt in &round.attempts { li { (marks::mark(attempt.outcome)) " " (ending(attempt)) } } }
            }
        }
        (view.legend())
        @for line in missing(round) { p.failure { (line) } }
    }
}

/// `deadlock in lock-supergroup 40P01`.
fn ending(attempt: &AttemptReport) -> String {
    let step = attempt.step.as_ref().map(|step| format!(" in {step}")).unwrap_or_default();
    let code = if attempt.code.is_empty() { String::new() } else { format!(" {}", attempt.code) };
    format!("{}{step}{code}", word(attempt.outcome))
}

/// What a step asked and got, on a line each, as far as the report tells.
fn exchange(step: &StepRoundReport) -> Markup {
    let line = |value: &serde_json::Value| shortened(&value.to_string(), EXCHANGE_MAX);
    html! {
        @if let Some(request) = &step.request { "\nasked " (line(request)) }
        @if let Some(result) = &step.result { "\ngot " (line(result)) }
    }
}

/// A barrier's release and its name, in the row where there is room for it.
struct Flag<'a> {
    barrier: &'a BarrierRoundReport,
    at: f64,
    row: usize,
}

/// A round, and where its times and workers are in the picture.
struct View<'a> {
    round: &'a RoundReport,
    from_ns: u64,
    to_ns: u64,
    lane_height: usize,
}

impl<'a> View<'a> {
    /// From the first release or start to the last end. `None` without attempts.
    fn of(round: &'a RoundReport) -> Option<Self> {
        let from_ns = round.attempts.iter().map(|attempt| attempt.started_ns.min(attempt.released_ns)).min()?;
        let to_ns = round.attempts.iter().map(|attempt| attempt.ended_ns).max()?.max(from_ns + 1);
        let lane_height = match round.attempts.len() {
            0..=16 => 24,
            17..=80 => 10,
            _ => 5,
        };
        Some(View { round, from_ns, to_ns, lane_height })
    }

    /// Whether lanes are too low for text.
    fn is_dense(&self) -> bool {
        self.lane_height < 24
    }

    fn is_named(&self, row: usize) -> bool {
        row.is_multiple_of(50 / self.lane_height)
    }

    /// Percent of the axis.
    fn at(&self, time_ns: u64) -> f64 {
        let offset = time_ns.clamp(self.from_ns, self.to_ns) - self.from_ns;
        offset as f64 / (self.to_ns - self.from_ns) as f64 * 100.0
    }

    /// `12.34%`.
    fn x(&self, time_ns: u64) -> String {
        percent(self.at(time_ns))
    }

    /// Never narrower than can be seen.
    fn width(&self, from_ns: u64, to_ns: u64) -> String {
        percent((self.at(to_ns) - self.at(from_ns)).max(0.15))
    }

    /// `1.77 ms to 22.3 ms (20.6 ms)`, counted from the left end of the axis.
    fn span(&self, from_ns: u64, to_ns: u64) -> String {
        format!("{} to {} ({})", self.time(from_ns), self.time(to_ns), ns(to_ns.saturating_sub(from_ns)))
    }

    fn time(&self, at_ns: u64) -> String {
        ns(at_ns.saturating_sub(self.from_ns))
    }

    fn description(&self, groups: &[GroupReport]) -> String {
        let groups: Vec<String> = groups.iter().map(|group| format!("{} {}", group.workers, group.name)).collect();
        let RoundReport { round, counts, .. } = self.round;
        format!(
            "timeline of round {round}, {}: {}; arrow keys move through its steps",
            groups.join(", "),
            marks::counts_text(counts)
        )
    }

    fn axis(&self, head: usize, height: usize) -> Markup {
        let whole = (self.to_ns - self.from_ns) as f64;
        let step = round_step(whole, 5);
        let ticks = (0..).map(|index| f64::from(index) * step).take_while(|tick| *tick <= whole * 0.97);
        html! {
            @for tick in ticks {
                @let x = percent(tick / whole * 100.0);
                line.tick x1=(x) x2=(x) y1=(head) y2=(height) {}
                text.tick x=(x) y=(head - 4) dx="2" { @if tick == 0.0 { "0" } @else { (ns(tick as u64)) } }
            }
        }
    }

    /// Released barriers from left to right, in as few rows as their names allow.
    fn flags(&self) -> Vec<Flag<'a>> {
        let mut released: Vec<(u64, &BarrierRoundReport)> =
            self.round.barriers.iter().filter_map(|barrier| Some((barrier.released_ns?, barrier))).collect();
        released.sort_by_key(|(released_ns, _)| *released_ns);
        let mut taken: Vec<f64> = Vec::new();
        let mut flags = Vec::new();
        for (released_ns, barrier) in released {
            let at = self.at(released_ns);
            // A guess at the width of the name on a narrow page; a row too many does no harm.
            let width = (barrier.name.chars().count() + 2) as f64 * 1.3;
            let from = if at > 75.0 { at - width } else { at };
            let row = taken.iter().position(|end| *end <= from).unwrap_or(taken.len());
            taken.resize(taken.len().max(row + 1), 0.0);
            taken[row] = from + width;
            flags.push(Flag { barrier, at, row });
        }
        flags
    }

    fn barrier(&self, flag: &Flag<'_>, head: usize, height: usize) -> Markup {
        let Flag { barrier, at, row } = flag;
        let x = percent(*at);
        let top = row * ROW;
        let late = *at > 75.0;
        html! {
            g.barrier {
                line x1=(x) x2=(x) y1=(top + 3) y2=(height) {}
                text x=(x) y=(top + 11) dx=(if late { -4 } else { 4 }) text-anchor=[late.then_some("end")] { (barrier.name) }
                rect.grip x=(x) y=(top) width="10" height=(head - top) transform="translate(-5)" {
                    title {
                        "barrier " (barrier.name) " released at " (barrier.released_ns.map(|at| self.time(at)).unwrap_or_default())
                        "\n" (arrivals(barrier)) "\nskew " (ns(barrier.skew_ns))
                    }
                }
            }
        }
    }

    /// One worker: its steps, its waiting, its end.
    fn lane(&self, row: usize, attempt: &AttemptReport) -> Markup {
        let top = row * self.lane_height;
        let bar = self.lane_height - if self.is_dense() { 2 } else { 6 };
        let inset = (self.lane_height - bar) / 2;
        let size = bar.min(11);
        let waits = self.round.barriers.iter().flat_map(|barrier| {
            let own = barrier.arrivals.iter().filter(|arrival| arrival.worker == attempt.worker);
            own.map(move |arrival| (barrier, arrival))
        });
        // A step that only waits at a barrier is drawn as that waiting.
        let steps =
            attempt.steps.iter().filter(|step| !self.round.barriers.iter().any(|barrier| barrier.name == step.step));
        html! {
            g.lane {
                @if !self.is_dense() || attempt.steps.is_empty() { rect class={ "span o-" (look(attempt.outcome)) } x=(self.x(attempt.started_ns)) y=(top + self.lane_height / 2 - 1)
                    width=(self.width(attempt.started_ns, attempt.ended_ns)) height="2" {} }
                @for (index, step) in steps.enumerate() { (self.step(attempt, step, index, top + inset, bar)) }
                @for (barrier, arrival) in waits { (self.wait(attempt, barrier, arrival, top + inset, bar)) }
                use class={ "end o-" (look(attempt.outcome)) } href={ "#m-" (look(attempt.outcome)) }
                    x=(self.x(attempt.ended_ns)) y=(top + (self.lane_height - size) / 2) width=(size) height=(size)
                    transform={ "translate(-" (size / 2) ")" } { (self.end_title(attempt)) }
            }
        }
    }

    fn end_title(&self, attempt: &AttemptReport) -> Markup {
        html! {
            title {
                (attempt.group) " " (attempt.worker) ": " (ending(attempt))
                @if !attempt.message.is_empty() { "\n" (attempt.message) }
                "\n" (self.span(attempt.started_ns, attempt.ended_ns))
            }
        }
    }

    fn step(&self, attempt: &AttemptReport, step: &StepRoundReport, index: usize, top: usize, height: usize) -> Markup {
        let failed = step.outcome != OutcomeWord::Success;
        let class = match (failed, index % 2) {
            (true, _) => format!("step failed o-{}", look(step.outcome)),
            (false, 0) => "step".to_owned(),
            (false, _) => "step odd".to_owned(),
        };
        let (x, width) = (self.x(step.started_ns), self.width(step.started_ns, step.ended_ns));
        let shown = !self.is_dense() && self.at(step.ended_ns) - self.at(step.started_ns) > 3.0;
        html! {
            rect class=(class) x=(x) y=(top) width=(width) height=(height) {
                title {
                    (attempt.group) " " (attempt.worker) ": " (step.step)
                    @if failed {
                        "\n" (word(step.outcome))
                        @if attempt.step.as_deref() == Some(step.step.as_str()) { " " (attempt.code) @if !attempt.message.is_empty() { ": " (attempt.message) } }
                    }
                    @if failed || !self.is_dense() { (exchange(step)) }
                    "\n" (self.span(step.started_ns, step.ended_ns))
                }
            }
            @if shown {
                svg x=(x) y=(top) width=(width) height=(height) { text.name x="5" y="13" { (step.step) } }
            }
        }
    }

    /// Waiting at a barrier, or for a worker that waits there.
    fn wait(
        &self,
        attempt: &AttemptReport,
        barrier: &BarrierRoundReport,
        arrival: &ArrivalReport,
        top: usize,
        height: usize,
    ) -> Markup {
        let class = match arrival.how {
            ArrivalWord::Arrived if attempt.steps.iter().any(|step| step.step == barrier.name) => "waiting parked",
            ArrivalWord::Arrived => "waiting",
            ArrivalWord::Blocked => "blocked",
            ArrivalWord::Failed | ArrivalWord::Late => return html! {},
        };
        let until_ns = barrier.released_ns.unwrap_or(attempt.ended_ns);
        if until_ns <= self.from_ns {
            return html! {};
        }
        html! {
            rect class=(class) x=(self.x(arrival.at_ns)) y=(top) width=(self.width(arrival.at_ns, until_ns)) height=(height) {
                title {
                    (attempt.group) " " (attempt.worker) ": "
                    @if arrival.how == ArrivalWord::Blocked {
                        "blocked by worker " (chain(&arrival.by)) ", who waits at " (barrier.name)
                    } @else { "waiting at " (barrier.name) @if barrier.released_ns.is_none() { ", which broke" } }
                    "\n" (self.span(arrival.at_ns, until_ns))
                }
            }
        }
    }

    /// Lines from blocked workers to those that they wait for.
    fn blockings(&self) -> Markup {
        let row_of = |worker: u64| self.round.attempts.iter().position(|attempt| attempt.worker == worker);
        let middle = |row: usize| row * self.lane_height + self.lane_height / 2;
        let blocked = self
            .round
            .barriers
            .iter()
            .flat_map(|barrier| &barrier.arrivals)
            .filter(|arrival| arrival.how == ArrivalWord::Blocked);
        let ends =
            blocked.filter_map(|arrival| Some((arrival, row_of(arrival.worker)?, row_of(*arrival.by.first()?)?)));
        html! {
            @for (arrival, from, to) in ends {
                @let x = self.x(arrival.at_ns);
                g.blocking {
                    line x1=(x) x2=(x) y1=(middle(from)) y2=(middle(to)) {}
                    svg x=(x) y=(middle(to)) overflow="visible" { circle r="3.5" {} }
                }
            }
        }
    }

    /// The signs that occur in this round.
    fn legend(&self) -> Markup {
        let has = |how| {
            self.round
                .barriers
                .iter()
                .flat_map(|barrier| &barrier.arrivals)
                .any(|arrival: &ArrivalReport| arrival.how == how)
        };
        html! {
            p.legend {
                span.key.step {} "step "
                @if has(ArrivalWord::Arrived) { span.key.waiting {} "waiting at a barrier " }
                @if has(ArrivalWord::Blocked) { span.key.blocked {} "waiting for a lock" @if !self.is_dense() { ", with a line to its holder" } " " }
                span.key.release {} "release of a barrier "
                @for outcome in self.round.counts.keys() { (marks::outcome(*outcome)) " " }
            }
        }
    }
}

/// `49 arrived, 1 blocked`.
fn arrivals(barrier: &BarrierRoundReport) -> String {
    let sorts = [
        (ArrivalWord::Arrived, "arrived"),
        (ArrivalWord::Failed, "failed"),
        (ArrivalWord::Blocked, "blocked"),
        (ArrivalWord::Late, "late"),
    ];
    let count = |how| barrier.arrivals.iter().filter(|arrival| arrival.how == how).count();
    let counts = sorts.into_iter().map(|(how, name)| (count(how), name)).filter(|(count, _)| *count > 0);
    counts.map(|(count, name)| format!("{count} {name}")).collect::<Vec<_>>().join(", ")
}

/// `1, who waits for 0`.
fn chain(by: &[u64]) -> String {
    by.iter().map(u64::to_string).collect::<Vec<_>>().join(", who waits for ")
}

fn percent(share: f64) -> String {
    format!("{share:.2}%")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(worker: u64, steps: &[(&str, OutcomeWord, u64, u64)]) -> AttemptReport {
        let steps = steps.iter().map(|(step, outcome, started_ns, ended_ns)| StepRoundReport {
            step: (*step).to_owned(),
            outcome: *outcome,
            started_ns: *started_ns,
            ended_ns: *ended_ns,
            released_ns: 0,
            request: None,
            result: None,
            end: None,
        });
        let steps: Vec<StepRoundReport> = steps.collect();
        let last = steps.last().unwrap().clone();
        AttemptReport {
            worker,
            group: "adder".to_owned(),
            outcome: last.outcome,
            step: (last.outcome != OutcomeWord::Success).then(|| last.step.clone()),
            cause: None,
            code: String::new(),
            message: String::new(),
            started_ns: 0,
            ended_ns: last.ended_ns,
            released_ns: 0,
            steps,
        }
    }

    /// Worker 0 holds a lock and waits at a barrier; worker 1 waits for the lock.
    fn blocked() -> RoundReport {
        let arrival = |worker, how, at_ns, by| ArrivalReport { worker, how, at_ns, by };
        RoundReport {
            round: 4,
            since_setup: None,
            verdict: super::super::super::schema::VerdictWord::Pass,
            failures: Vec::new(),
            inconclusive: None,
            counts: [(OutcomeWord::Success, 1), (OutcomeWord::Busy, 1)].into(),
            overlap: 2,
            makespan_ns: 1_000_000,
            attempts: vec![
                attempt(
                    0,
                    &[("lock", OutcomeWord::Success, 0, 200_000), ("locked", OutcomeWord::Success, 200_000, 600_000)],
                ),
                attempt(1, &[("lock", OutcomeWord::Busy, 100_000, 1_000_000)]),
            ],
            barriers: vec![BarrierRoundReport {
                name: "locked".to_owned(),
                released_ns: Some(600_000),
                skew_ns: 0,
                arrivals: vec![
                    arrival(0, ArrivalWord::Arrived, 210_000, Vec::new()),
                    arrival(1, ArrivalWord::Blocked, 400_000, vec![0]),
                ],
                missing: Vec::new(),
            }],
            invariants: Vec::new(),
        }
    }

    #[test]
    fn a_blocked_worker_is_drawn_with_a_line_to_whom_it_waits_for() {
        let text = timeline(&blocked(), &[]).into_string();
        assert!(
            text.contains("adder 1: blocked by worker 0, who waits at locked\n400 µs to 600 µs (200 µs)"),
            "{text}"
        );
        assert!(text.contains(r#"<line x1="40.00%" x2="40.00%" y1="36" y2="12">"#), "{text}");
        assert!(text.contains("barrier locked released at 600 µs\n1 arrived, 1 blocked"), "{text}");
        assert!(!text.contains("adder 0: locked"), "a step that only waits is drawn as waiting: {text}");
        insta::assert_snapshot!(text.replace("><", ">\n<"));
    }

    #[test]
    fn a_step_says_what_it_asked_and_got() {
        let mut round = blocked();
        let step = &mut round.attempts[0].steps[0];
        step.request = Some(serde_json::json!({"sql": "SELECT $1", "args": ["<b>"]}));
        step.result = Some(serde_json::json!({"rows": [["x".repeat(300)]]}));
        let text = timeline(&round, &[]).into_string();
        let asked = r#"asked {"sql":"SELECT $1","args":["&lt;b&gt;"]}"#;
        assert!(text.contains(&asked.replace('"', "&quot;")), "{text}");
        assert!(text.contains("\ngot ") && !text.contains(&"x".repeat(160)), "{text}");
    }

    #[test]
    fn a_broken_barrier_is_waited_at_until_the_end() {
        let mut round = blocked();
        round.barriers[0].released_ns = None;
        let text = timeline(&round, &[]).into_string();
        assert!(text.contains("adder 0: waiting at locked, which broke\n210 µs to 600 µs"), "{text}");
    }

    #[test]
    fn many_lanes_are_low() {
        let mut round = blocked();
        round.attempts = (0..50).map(|worker| attempt(worker, &[("append", OutcomeWord::Success, 0, 1_000)])).collect();
        let text = timeline(&round, &[]).into_string();
        assert!(text.contains("--lane:10px"), "{text}");
        assert!(!text.contains("class=\"name\""), "{text}");
        assert!(text.len() < 50 * 700, "{}", text.len());
    }

    #[test]
    fn names_of_barriers_do_not_run_into_each_other() {
        let mut round = blocked();
        let mut near = round.barriers[0].clone();
        near.released_ns = Some(610_000);
        round.barriers.push(near);
        let view = View::of(&round).unwrap();
        assert_eq!(view.flags().iter().map(|flag| flag.row).collect::<Vec<_>>(), [0, 1]);
    }
}
