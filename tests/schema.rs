//! The JSON Schema for editors and the reader know the same keys.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::path::Path;

use deadheat::diagnostic::{Code, SourceFile};
use deadheat::scenario::{self, FileAccess, LoadError, schema};
use serde_json::Value;

/// The keys that the reader knows where `zzzzzzzz` stands in `text`, from what it says of that key.
fn known_keys(text: &str) -> BTreeSet<String> {
    let source = SourceFile::new("any.toml", text);
    let Err(LoadError::Invalid { diagnostics, .. }) =
        scenario::parse(source, Path::new("."), FileAccess::Below, &deadheat::driver::builtin())
    else {
        panic!("an unknown key is a fault: {text}")
    };
    let unknown = diagnostics.iter().find(|diagnostic| diagnostic.message.contains("`zzzzzzzz`"));
    let unknown = unknown.unwrap_or_else(|| panic!("the unknown key is reported: {text}\n{diagnostics:?}"));
    assert!([Code::UnknownKey, Code::UnknownOutcome].contains(&unknown.code), "{unknown:?}");
    let help = unknown.help.as_deref().unwrap();
    help.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn schema_keys(schema: &Value, pointer: &str) -> BTreeSet<String> {
    let node = schema.pointer(pointer).unwrap_or_else(|| panic!("there is {pointer}"));
    assert_eq!(node["additionalProperties"], Value::Bool(false), "{pointer}");
    node["properties"].as_object().unwrap().keys().cloned().collect()
}

fn union(texts: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    texts.into_iter().flat_map(|text| known_keys(&text)).collect()
}

#[test]
fn the_schema_has_the_keys_of_the_reader() {
    let schema = schema::json_schema(&deadheat::driver::builtin());
    let one = |pointer: &str, text: &str| {
        assert_eq!(schema_keys(&schema, pointer), known_keys(text), "{pointer}");
    };
    let definition = |name: &str| format!("/definitions/{name}");
    one("", "zzzzzzzz = 1");
    one("/properties/fixture", "[fixture]\nzzzzzzzz = 1");
    one("/properties/compare", "[compare]\nzzzzzzzz = 1");
    one("/properties/sometimes", "[sometimes]\nzzzzzzzz = 1");
    one(&definition("expectation"), "[expect.by_group.x]\nzzzzzzzz = 1");
    for (name, table) in [
        ("group", "[[workers]]"),
        ("barrier", "[barriers.x]"),
        ("growth", "[[growth]]"),
        ("control", "[[controls]]"),
        ("classify", "[[classify]]"),
    ] {
        one(&definition(name), &format!("{table}\nzzzzzzzz = 1"));
    }
    let steps = [
        "sql = 's'",
        "file = 'Cargo.toml'",
        "barrier = 'b'",
        "sleep = '1s'",
        "assert = 'true'",
        "let = {}",
        "append = {}",
        "latest_version = {}",
        "read_events = {}",
        "save_snapshot = {}",
        "latest_snapshot = {}",
        "publish = {}",
    ];
    let found = union(steps.map(|step| format!("[[workers]]\nsteps = [{{ {step}, zzzzzzzz = 1 }}]")));
    assert_eq!(schema_keys(&schema, "/definitions/step"), found);
    let fixtures =
        ["sql = 's'", "file = 'Cargo.toml'", "append = {}", "fill = {}", "save_snapshot = {}", "publish = {}"];
    let found = union(fixtures.map(|step| format!("[fixture]\nsetup = [{{ {step}, zzzzzzzz = 1 }}]")));
    assert_eq!(schema_keys(&schema, "/definitions/fixtureStep"), found);
    let probes = ["sql = 's'", "file = 'Cargo.toml'", "events = {}", "messages = {}"];
    let found = union(probes.map(|probe| format!("[[invariants]]\n{probe}\nzzzzzzzz = 1")));
    assert_eq!(schema_keys(&schema, "/definitions/invariant"), found);
    let drivers = ["postgres", "jetstream", "event-store"];
    let found = union(drivers.map(|driver| format!("[targets.x]\ndriver = '{driver}'\nzzzzzzzz = 1")));
    assert_eq!(schema_keys(&schema, "/definitions/target"), found);
    for key in ["append", "read_events", "latest_version", "latest_snapshot", "save_snapshot", "publish"] {
        one(&definition(key), &format!("[[workers]]\nsteps = [{{ {key} = {{ zzzzzzzz = 1 }} }}]"));
    }
    one(&definition("fill"), "[fixture]\nsetup = [{ fill = { zzzzzzzz = 1 } }]");
    one(&definition("messages"), "[[invariants]]\nmessages = { zzzzzzzz = 1 }");
    one(&definition("events"), "[[invariants]]\nevents = { zzzzzzzz = 1 }");
}

#[test]
fn every_reference_of_the_schema_has_its_definition_and_every_key_its_text() {
    fn visit(node: &Value, schema: &Value) {
        if let Some(reference) = node.get("$ref").and_then(Value::as_str) {
            assert!(schema.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
        }
        if let Some(properties) = node.get("properties").and_then(Value::as_object) {
            for (key, property) in properties {
                assert!(property.get("description").is_some() || property.get("$ref").is_some(), "{key}");
            }
        }
        match node {
            Value::Object(entries) => entries.values().for_each(|value| visit(value, schema)),
            Value::Array(items) => items.iter().for_each(|value| visit(value, schema)),
            _ => {}
        }
    }
    let schema = schema::json_schema(&deadheat::driver::builtin());
    visit(&schema, &schema);
}
