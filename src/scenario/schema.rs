//! The JSON Schema of scenario files, for editors: what each key means, and which keys there are.
//!
//! It is a guide to writing, and leaves to the reader what a schema cannot say. A test holds its keys against the reader's.

use serde_json::{Map, Value, json};

use super::read_checks::QUANTILES;
use super::requests::PAUSE;
use crate::outcome::OutcomeKind;
use crate::port::{Driver, Drivers, Field, Isolation, Layout, Literal, Need, RequestSpec, Shape, Usage};

/// The JSON Schema (draft 7, which TOML editors understand) of a scenario file.
pub fn json_schema(drivers: &Drivers) -> Value {
    let mut schema = object(
        "A race against a real system, and what its outcomes must be.",
        &["schema", "name", "targets", "workers"],
        top(),
    );
    let tables = [Usage::Step, Usage::Fixture, Usage::Probe].map(|usage| drivers.requests(usage));
    let requests = tables.iter().flatten().filter(|spec| spec.layout == Layout::Table);
    let requests = requests.map(|spec| (spec.key, request(spec)));
    let definitions = [
        ("target", target(drivers)),
        ("step", step(drivers)),
        ("fixtureStep", fixture_step(drivers)),
        ("group", group()),
        ("barrier", barrier()),
        ("origin", origin()),
        ("expectation", outcomes("Counts by outcome. An outcome that is not named must not occur.")),
        ("invariant", invariant(drivers)),
        ("growth", growth()),
        ("control", control()),
        ("classify", classify()),
        ("count", count()),
        ("stepRef", step_ref()),
        ("bindings", map("Names, each with a CEL expression.", json!({ "type": "string" }))),
        ("settings", map("Names of params or axes, each with a plain value.", json!({}))),
    ];
    let definitions = definitions.into_iter().chain(requests);
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!("deadheat scenario");
    schema["definitions"] = definitions.map(|(name, definition)| (name.to_owned(), definition)).collect();
    schema
}

type Keys = Vec<(&'static str, Value)>;

/// A table with exactly these keys.
fn object(doc: &str, required: &[&str], keys: Keys) -> Value {
    let properties: Map<String, Value> = keys.into_iter().map(|(key, schema)| (key.to_owned(), schema)).collect();
    let mut schema =
        json!({ "type": "object", "description": doc, "properties": properties, "additionalProperties": false });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn map(doc: &str, values: Value) -> Value {
    json!({ "type": "object", "description": doc, "additionalProperties": values })
}

fn list(doc: &str, items: Value) -> Value {
    json!({ "type": "array", "description": doc, "items": items })
}

fn text(doc: &str) -> Value {
    json!({ "type": "string", "description": doc })
}

fn any(doc: &str) -> Value {
    json!({ "description": format!("{doc} May hold `${{expression}}`.") })
}

fn words<'a>(doc: &str, words: impl IntoIterator<Item = &'a str>) -> Value {
    json!({ "type": "string", "description": doc, "enum": words.into_iter().collect::<Vec<_>>() })
}

fn whole(doc: &str, least: u64) -> Value {
    json!({ "type": "integer", "description": doc, "minimum": least })
}

fn refer(doc: &str, definition: &str) -> Value {
    json!({ "description": doc, "allOf": [{ "$ref": format!("#/definitions/{definition}") }] })
}

fn refers(doc: &str, definition: &str) -> Value {
    list(doc, json!({ "$ref": format!("#/definitions/{definition}") }))
}

/// One of some words, or a template that gives one.
fn word_or_template<'a>(doc: &str, known: impl IntoIterator<Item = &'a str>) -> Value {
    let known: Vec<&str> = known.into_iter().collect();
    json!({ "description": doc, "anyOf": [{ "enum": known }, { "type": "string", "pattern": "\\$\\{" }] })
}

fn top() -> Keys {
    vec![
        ("schema", json!({ "description": "The version of the scenario format.", "const": super::SCHEMA })),
        ("name", text("The scenario's name: letters, digits, `-`, `_` and `.`; unique among the scenarios of a run.")),
        ("summary", text("One line on what races and what must come out.")),
        ("tags", list("Words by which scenarios are chosen.", json!({ "type": "string" }))),
        ("rounds", whole(&format!("How many rounds are raced; default {}.", super::DEFAULT_ROUNDS), 1)),
        ("timeout", text("How long one round may take, such as `30s`, the default.")),
        (
            "ordered",
            object(
                "Says that the scenario orders its workers on purpose, so that no race is expected.",
                &["why"],
                vec![
                    ("why", text("Why the order is wanted.")),
                    ("only", refer("Only for cases with these values.", "settings")),
                ],
            ),
        ),
        (
            "params",
            map("Values that `--param NAME=VALUE` and controls can change. Expressions use them by name.", json!({})),
        ),
        ("matrix", matrix()),
        ("targets", map("The systems raced against, by name.", json!({ "$ref": "#/definitions/target" }))),
        ("fixture", fixture()),
        ("steps", map("Steps that worker groups use by name.", json!({ "$ref": "#/definitions/step" }))),
        ("workers", refers("Worker groups: who races.", "group")),
        (
            "barriers",
            map("Named points where workers wait for each other.", json!({ "$ref": "#/definitions/barrier" })),
        ),
        ("expect", expect()),
        ("sometimes", outcomes("Counts by outcome that must fit in at least one round of the run.")),
        ("invariants", refers("Checks of the final state after each round.", "invariant")),
        ("growth", refers("Costs that must not grow with an axis.", "growth")),
        ("compare", compare()),
        ("controls", refers("Broken variants of the scenario, which its checks must catch.", "control")),
        ("classify", refers("Rules that say which outcome a refusal is; the first that fits wins.", "classify")),
    ]
}

fn compare() -> Value {
    object(
        "What `deadheat compare` goes by for this scenario.",
        &[],
        vec![
            (
                "gate",
                text(
                    "The metric whose change counts: `makespan`, the default, `p50`, `p99`, or a step's, such as `append.p50`.",
                ),
            ),
            (
                "threshold",
                json!({
                    "type": "number",
                    "description": "By which share that metric may change: 0.1 for 10 %.",
                    "exclusiveMinimum": 0,
                }),
            ),
        ],
    )
}

fn matrix() -> Value {
    let doc = "Axes, each with a list of values: one case for every combination.";
    let exclude = list("Combinations that are left out.", map("Axes with the value, or values, they have.", json!({})));
    json!({
        "type": "object",
        "description": doc,
        "properties": { "exclude": exclude },
        "additionalProperties": { "type": "array", "minItems": 1 },
    })
}

fn target(drivers: &Drivers) -> Value {
    let mut keys = vec![
        ("driver", words("What it is.", drivers.words())),
        ("url", text("Where it is. Without it, the tool looks for a server or starts one.")),
        ("url_env", text("The environment variable that says where it is.")),
    ];
    for driver in drivers.iter() {
        for option in driver.options() {
            if !keys.iter().any(|(known, _)| *known == option.key) {
                let having = drivers.iter().filter(|it| it.options().iter().any(|own| own.key == option.key));
                let having: Vec<&str> = having.map(Driver::word).collect();
                keys.push((option.key, field(option, &format!("{}: ", having.join(", ")))));
            }
        }
    }
    object("A system raced against.", &["driver"], keys)
}

/// A key of a driver's table, with `before` in front of what it does.
fn field(field: &Field, before: &str) -> Value {
    let default = match field.need {
        Need::Default(literal) if !matches!(literal, Literal::Null | Literal::Text("")) => {
            format!("; default `{}`.", crate::value::Value::from(literal))
        }
        Need::Default(_) | Need::Required | Need::Optional => ".".to_owned(),
    };
    let least = match field.shape {
        Shape::Whole { least } => format!("; at least {least}"),
        Shape::Duration { least, .. } => format!("; at least {}ms", least.as_millis()),
        Shape::Text | Shape::Value | Shape::Values | Shape::Named | Shape::Words(_) | Shape::Flag => String::new(),
    };
    let doc = format!("{before}{}{least}{default}", field.doc.trim_end_matches('.'));
    match field.shape {
        Shape::Text => text(&doc),
        Shape::Value | Shape::Flag | Shape::Whole { .. } => any(&doc),
        Shape::Values => list(&doc, any("A value.")),
        Shape::Named => map(&doc, any("A value.")),
        Shape::Words(known) => word_or_template(&doc, known.iter().copied()),
        Shape::Duration { .. } => text(&doc),
    }
}

/// A request that is written as a table.
fn request(spec: &RequestSpec) -> Value {
    let required: Vec<&str> =
        spec.fields.iter().filter(|it| matches!(it.need, Need::Required)).map(|field| field.key).collect();
    let mut keys: Keys = spec.fields.iter().map(|it| (it.key, field(it, ""))).collect();
    if !spec.pauses.is_empty() {
        let points: Vec<String> = spec.pauses.iter().map(|it| format!("`{}` is {}", it.word, it.doc)).collect();
        let doc = format!("A barrier inside the request, called as the point: {}", points.join(" "));
        keys.push((PAUSE, words(&doc, spec.pauses.iter().map(|it| it.word))));
    }
    object(spec.doc, &required, keys)
}

/// The keys of requests at places of this kind, and `on`.
fn request_keys(drivers: &Drivers, usage: Usage) -> Keys {
    let mut keys = Vec::new();
    for spec in drivers.requests(usage) {
        match spec.layout {
            Layout::Table => keys.push((spec.key, refer(spec.doc, spec.key))),
            Layout::Statement { file, doc } => {
                keys.push((spec.key, text(spec.doc)));
                keys.push((file, text(doc)));
                keys.extend(spec.fields.iter().skip(1).map(|it| (it.key, field(it, ""))));
            }
        }
    }
    keys.push(("on", text("The target, if there are several.")));
    keys
}

fn fixture() -> Value {
    let steps = |doc| refers(doc, "fixtureStep");
    object(
        "What is done around the rounds, by no worker.",
        &[],
        vec![
            ("setup", steps("Once, in the case's own empty schema or stream.")),
            ("before_round", steps("Before each round.")),
            ("after_round", steps("After each round and its invariants.")),
            ("teardown", steps("Once, after the last round.")),
        ],
    )
}

fn fixture_step(drivers: &Drivers) -> Value {
    let keys = request_keys(drivers, Usage::Fixture);
    object("One request of a fixture. Without `args`, SQL may hold several statements.", &[], keys)
}

fn step(drivers: &Drivers) -> Value {
    let mut keys = request_keys(drivers, Usage::Step);
    keys.extend([
        ("name", text("The name of a step that is written in place, for reports and controls.")),
        ("barrier", text("Waits until every worker that has this barrier has come to it.")),
        ("sleep", text("Pauses for this duration, such as `20ms`.")),
        ("assert", text("A CEL expression; unless it is true the attempt ends, as `rejected` or as `otherwise` says.")),
        ("let", refer("Binds names for later steps.", "bindings")),
        (
            "rows",
            refer("How many rows must be returned or changed; else `conflict`, or what `otherwise` says.", "count"),
        ),
        (
            "otherwise",
            words("The outcome when `rows` or `assert` is not met, or when there is no row to `save`.", OutcomeKind::REFUSALS.map(OutcomeKind::as_str)),
        ),
        (
            "save",
            json!({
                "description": "What is kept: a name for the single value, or names with expressions over `rows`, `affected` and `result`.",
                "anyOf": [{ "type": "string" }, { "$ref": "#/definitions/bindings" }],
            }),
        ),
        ("timeout", text("How long the step may take (10s), or its barrier is waited for (5s).")),
    ]);
    object("One thing a worker does; one key says what.", &[], keys)
}

fn step_ref() -> Value {
    json!({ "anyOf": [{ "type": "string" }, { "$ref": "#/definitions/step" }] })
}

fn group() -> Value {
    object(
        "A worker group.",
        &["name", "steps"],
        vec![
            ("name", text("The group's name, bound to `group`.")),
            ("count", any("How many workers, for each row of `each`; default 1.")),
            (
                "each",
                list(
                    "One worker, or `count`, for each row; steps use its keys by name.",
                    map("A row.", any("A value.")),
                ),
            ),
            ("on", text("The target of steps that name none.")),
            (
                "transaction",
                word_or_template(
                    "Wraps the steps in a transaction of this isolation level.",
                    Isolation::ALL.map(Isolation::as_str),
                ),
            ),
            ("start", words("`free`: begins at once, without the start barrier.", ["together", "free"])),
            ("repeat", whole("How often the steps are taken in one round; default 1.", 1)),
            ("steps", refers("What each worker does, in order: names of steps, or steps.", "stepRef")),
        ],
    )
}

fn barrier() -> Value {
    object("A barrier.", &[], vec![("timeout", text("How long the first to come waits; default 5s."))])
}

fn expect() -> Value {
    let mut schema =
        outcomes("Counts by outcome that hold in every round. An outcome that is not named must not occur.");
    let by_group = map("Counts of one group's workers.", json!({ "$ref": "#/definitions/expectation" }));
    let quantiles: Vec<&str> = QUANTILES.iter().map(|(word, _)| *word).collect();
    let latency = json!({
        "type": "object",
        "description": format!("Bounds such as `\"append.p99\" = \"< 50ms\"`; quantiles: {}.", quantiles.join(", ")),
    });
    schema["properties"]["any_of"] = refers("Alternatives, of which one must fit in every round.", "expectation");
    schema["properties"]["by_group"] = by_group;
    schema["properties"]["latency"] = latency;
    schema
}

fn outcomes(doc: &str) -> Value {
    let count = json!({
        "description": "How many attempts end so; or a table that says where as well.",
        "anyOf": [{ "$ref": "#/definitions/count" }, { "$ref": "#/definitions/origin" }],
    });
    let keys = OutcomeKind::ALL.map(|kind| (kind.as_str(), count.clone())).to_vec();
    object(doc, &[], keys)
}

fn origin() -> Value {
    object(
        "A count, and where all attempts with this outcome must end.",
        &["count"],
        vec![
            ("count", json!({ "$ref": "#/definitions/count" })),
            ("at", text("The step at which they end; or `begin` or `commit`.")),
            ("code", text("The system's code with which they end, such as `23505`.")),
        ],
    )
}

fn count() -> Value {
    json!({
        "description": "`1`, `\"writers - 1\"`, `\">= 1\"` or `\"1..=3\"`, with CEL expressions.",
        "anyOf": [{ "type": "integer", "minimum": 0 }, { "type": "string" }],
    })
}

fn invariant(drivers: &Drivers) -> Value {
    let mut keys = request_keys(drivers, Usage::Probe);
    keys.extend([
        ("name", text("The check's name.")),
        (
            "that",
            text("A CEL expression over what was read and the counts of outcomes (`success`, `broken_barrier` …)."),
        ),
    ]);
    object("A check of the final state after each round.", &["name", "that"], keys)
}

fn growth() -> Value {
    object(
        "A cost that must not grow.",
        &["name", "metric", "over", "at_most"],
        vec![
            ("name", text("The check's name.")),
            ("metric", text("A step, or `attempt`, and a quantile: `latest-version.p50`.")),
            ("over", text("The axis.")),
            ("at_most", json!({ "type": "number", "description": "The greatest exponent: 0 is O(1), 1 is O(n)." })),
        ],
    )
}

fn control() -> Value {
    let names = |doc| list(doc, json!({ "type": "string" }));
    object(
        "A broken variant of the scenario.",
        &["name", "why", "breaks"],
        vec![
            ("name", text("The control's name.")),
            ("why", text("Why it is broken.")),
            ("set", refer("Params and axes with other values.", "settings")),
            ("replace", map("Steps by name, with what is done instead.", json!({ "$ref": "#/definitions/stepRef" }))),
            ("drop", names("Steps that are left out.")),
            ("only", refer("Only for cases with these values.", "settings")),
            ("breaks", names("The checks of which one must break: outcomes, invariants, growths, latency keys.")),
        ],
    )
}

fn classify() -> Value {
    object(
        "Says which outcome a refusal is.",
        &["outcome"],
        vec![
            ("code", json!({ "description": "The system's code.", "type": ["string", "integer"] })),
            ("message", text("A regular expression that the system's message matches.")),
            ("step", text("The refused step.")),
            ("outcome", words("What the attempt ends in.", OutcomeKind::REFUSALS.map(OutcomeKind::as_str))),
        ],
    )
}
