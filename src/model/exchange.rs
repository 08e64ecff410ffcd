//! What the steps of an attempt asked, and what came of it. While a race goes on it is moved here and not looked at; what
//! is kept is cut when the round is over.

use crate::port::{Done, Request};
use crate::secrets::hidden_in_value;
use crate::value::Value;

use super::record::StepAt;

/// How many steps of one attempt have their values kept at most.
const STEPS_KEPT: usize = 4096;
/// How many rows, or entries of lists, of one attempt are kept until the round is over at most.
const ROWS_KEPT: usize = 10_000;
/// How many bytes are kept of a request, and of a result.
const VALUE_MAX: usize = 1024;
/// How many bytes are kept of all values of one round.
const ROUND_MAX: usize = 1 << 20;

/// What one step asked, and its result.
#[derive(Debug, Clone, Default)]
pub struct Exchange {
    /// What was asked, if it was resolved in the race.
    pub request: Option<Box<Request<Value>>>,
    /// What came of it, if it was done.
    pub result: Option<Done>,
}

impl Exchange {
    /// Whether nothing was resolved for the step, and nothing came of it.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.request.is_none() && self.result.is_none()
    }
}

/// What the steps of one attempt asked, and their results.
#[derive(Debug, Clone, Default)]
pub struct Exchanges {
    /// With the position in [`Attempt::steps`](super::record::Attempt::steps), ascending: of the steps that asked something, as
    /// far as they are kept.
    steps: Vec<(usize, Exchange)>,
    /// By index into the group's steps: what was asked by a step that was resolved before the race.
    ready: Vec<Option<Request<Value>>>,
    rows: usize,
}

impl Exchanges {
    /// Nothing was asked so far.
    pub const fn new() -> Self {
        Exchanges { steps: Vec::new(), ready: Vec::new(), rows: 0 }
    }

    /// Makes room for the exchanges of `steps` steps.
    pub fn reserve(&mut self, steps: usize) {
        self.steps.reserve(steps.min(STEPS_KEPT));
    }

    /// Takes the exchange of the step at `position`. Positions ascend; steps that asked nothing may be left out.
    #[inline]
    pub fn push(&mut self, position: usize, mut exchange: Exchange) {
        if position >= STEPS_KEPT || exchange.is_empty() {
            return;
        }
        if let Some(done) = &exchange.result {
            self.rows += done.entries();
            if self.rows > ROWS_KEPT {
                exchange.result = None;
            }
        }
        self.steps.push((position, exchange));
    }

    /// Takes what was asked by steps that were resolved before the race, by index into the group's steps.
    pub fn asked(&mut self, ready: Vec<Option<Request<Value>>>) {
        self.ready = ready;
    }

    /// What the step at `position` asked and got: `at` says which it was.
    fn cut(&self, position: usize, at: StepAt, room: &mut usize) -> KeptExchange {
        if position >= STEPS_KEPT {
            return KeptExchange::default();
        }
        let found = self.steps.binary_search_by_key(&position, |(position, _)| *position).ok();
        let exchange = found.map(|found| &self.steps[found].1);
        let ready = || self.ready.get(at.index()?)?.as_ref();
        let request = exchange.and_then(|exchange| exchange.request.as_deref()).or_else(ready);
        let mut kept = |value: Value| cut_to(&value, VALUE_MAX, room);
        KeptExchange {
            request: request.and_then(|request| kept(request.to_value())),
            result: exchange.and_then(|exchange| exchange.result.as_ref()).and_then(|done| kept(done.to_value())),
        }
    }
}

/// What one step asked, and its result, without secrets and cut.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KeptExchange {
    /// What it asked; `None` if it asked nothing, or too much was kept before.
    pub request: Option<Value>,
    /// What came of it; `None` if nothing did, or too much was kept before.
    pub result: Option<Value>,
}

/// What the attempts of a round asked and got, as it is kept.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KeptExchanges(Vec<Vec<KeptExchange>>);

impl KeptExchanges {
    /// Keeps of each attempt what its steps asked and got.
    pub fn of<'a>(attempts: impl Iterator<Item = (&'a Exchanges, Vec<StepAt>)>) -> Self {
        let mut room = ROUND_MAX;
        let kept = attempts.map(|(exchanges, steps)| {
            let steps = steps.into_iter().enumerate();
            steps.map(|(position, at)| exchanges.cut(position, at, &mut room)).collect()
        });
        KeptExchanges(kept.collect())
    }

    /// What the step at `position` of `attempt` asked and got.
    pub fn get(&self, attempt: usize, position: usize) -> KeptExchange {
        self.0.get(attempt).and_then(|steps| steps.get(position)).cloned().unwrap_or_default()
    }
}

/// The value without secrets, cut to `most` bytes; `None` if there is no room for it in `room`, of which it takes some.
fn cut_to(value: &Value, most: usize, room: &mut usize) -> Option<Value> {
    let mut left = most;
    let value = cut(value, &mut left);
    *room = room.checked_sub(most - left)?;
    Some(value)
}

fn cut(value: &Value, left: &mut usize) -> Value {
    match value {
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => {
            *left = left.saturating_sub(size_of::<u64>());
            value.clone()
        }
        Value::Decimal(text) if text.len() <= *left => {
            *left -= text.len();
            value.clone()
        }
        Value::Decimal(text) => Value::text(cut_text(text, left)),
        // Secrets go first: half a login no longer looks like one.
        Value::Text(text) => Value::text(cut_text(&hidden_in_value(text), left)),
        Value::List(items) => {
            let mut kept = Vec::new();
            for item in items.iter() {
                if *left == 0 {
                    kept.push(Value::text(more(items.len() - kept.len())));
                    break;
                }
                kept.push(cut(item, left));
            }
            Value::list(kept)
        }
        Value::Map(entries) => {
            let mut kept = Vec::new();
            for (key, entry) in entries.iter() {
                if *left == 0 {
                    kept.push(("…".to_owned(), Value::text(more(entries.len() - kept.len()))));
                    break;
                }
                let key = cut_text(&hidden_in_value(key), left);
                kept.push((key, cut(entry, left)));
            }
            Value::map(kept)
        }
    }
}

fn more(number: usize) -> String {
    format!("… {number} more")
}

fn cut_text(text: &str, left: &mut usize) -> String {
    let end = text.floor_char_boundary(*left);
    let is_cut = end < text.len();
    *left = if is_cut { 0 } else { *left - end };
    if is_cut { format!("{}…", &text[..end]) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::fixture::READ;
    use crate::port::Entry;

    fn kept(value: Value) -> Value {
        cut_to(&value, VALUE_MAX, &mut ROUND_MAX.clone()).unwrap()
    }

    #[test]
    fn no_secret_is_kept_wherever_the_value_is_cut() {
        for before in [0, 900, 990, 1000, 1005, 1010, 1015, 1020, 1024] {
            for secret in ["postgres://user:s3cret@host/db", "host=h password=s3cret", "password='s3cret x' host=h"] {
                let text = format!("{} {secret} and more", "x".repeat(before));
                let value =
                    Value::map([("sql", Value::text("SELECT $1")), ("args", Value::list([Value::text(&text)]))]);
                for kept in [kept(Value::text(&text)), kept(value)] {
                    let shown = kept.to_string();
                    assert!(!shown.contains("s3c"), "{shown}");
                    assert!(shown.len() < VALUE_MAX + 60, "{}", shown.len());
                }
            }
        }
        let url = Value::map([("postgres://user:s3cret@host", Value::Int(1))]);
        assert_eq!(kept(url).to_string(), r#"{"postgres://***@host":1}"#);
        let plain = Value::map([("data", Value::map([("a", Value::list([Value::Int(1), Value::Null]))]))]);
        assert_eq!(kept(plain.clone()), plain);
    }

    #[test]
    fn long_values_say_how_much_is_missing() {
        let rows = Value::list((0..1000).map(Value::Int));
        let Value::List(items) = kept(rows) else { panic!("a list") };
        assert_eq!((items.len(), items.last().unwrap().to_string().as_str()), (129, "… 872 more"));
        assert!(kept(Value::text("ä".repeat(600))).to_string().ends_with("ä…"));
        let mut room = 10;
        assert_eq!((cut_to(&Value::Int(1), VALUE_MAX, &mut room), room), (Some(Value::Int(1)), 2));
        assert_eq!(cut_to(&Value::text("abc"), VALUE_MAX, &mut room), None);
    }

    #[test]
    fn an_exchange_stays_with_its_step_and_too_much_is_not_kept() {
        let latest = |of: &str| Request { spec: &READ, fields: vec![Entry::One(Value::text(of))], pauses: Vec::new() };
        let mut exchanges = Exchanges::new();
        exchanges.push(0, Exchange::default());
        exchanges.push(1, Exchange { request: None, result: Some(Done::result(Value::Int(7))) });
        exchanges.push(2, Exchange { request: Some(Box::new(latest("late"))), result: None });
        exchanges.asked(vec![Some(latest("ready")), None]);
        let steps = vec![StepAt::Begin, StepAt::Step(0), StepAt::Step(1), StepAt::Commit];
        let kept = KeptExchanges::of([(&exchanges, steps)].into_iter());
        let shown = |position| {
            let KeptExchange { request, result } = kept.get(0, position);
            [request, result].map(|value| value.map_or("-".to_owned(), |value| value.to_string()))
        };
        assert_eq!(shown(0), ["-", "-"]);
        assert_eq!(shown(1), [r#"{"latest_version":{"of":"ready"}}"#, "7"]);
        assert_eq!(shown(2), [r#"{"latest_version":{"of":"late"}}"#, "-"]);
        assert_eq!((shown(3), kept.get(1, 0)), (["-", "-"].map(str::to_owned), KeptExchange::default()));

        let mut exchanges = Exchanges::new();
        let many = || Done { rows: vec![vec![Value::Null]; ROWS_KEPT / 2], affected: 0, result: Value::Null };
        (0..3).for_each(|position| exchanges.push(position, Exchange { request: None, result: Some(many()) }));
        exchanges.push(STEPS_KEPT, Exchange { request: None, result: Some(Done::result(Value::Int(7))) });
        let found: Vec<bool> = exchanges.steps.iter().map(|(_, exchange)| exchange.result.is_some()).collect();
        assert_eq!(found, [true, true, false]);
    }
}
