//! Resolves targets for a case: templates become words, words become drivers' options.

use std::collections::BTreeSet;
use std::time::Duration;

use super::case::Builder;
use crate::diagnostic::{Code, Diagnostic, Span, suggestion};
use crate::duration;
use crate::event_store::{Backend, Guard, Lookup};
use crate::expression::Scope;
use crate::model::{Driver, Isolation, StoreOptions, TargetSpec};
use crate::scenario::model::{self, TemplateAt};
use crate::value::Value;

/// How long JetStream remembers message ids when the target does not say: the server's own default.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

/// The shortest one that JetStream takes; 0 means its own default there.
const DUPLICATE_WINDOW_MIN: Duration = Duration::from_millis(100);

const BACKENDS: [(&str, Backend); 4] = [
    ("memory", Backend::Memory),
    ("sqlite", Backend::Sqlite),
    ("postgres", Backend::Postgres),
    ("jetstream", Backend::JetStream),
];
const GUARDS: [(&str, Guard); 3] = [("none", Guard::None), ("mutex", Guard::Mutex), ("server", Guard::Server)];
const LOOKUPS: [(&str, Lookup); 3] =
    [("direct-get", Lookup::DirectGet), ("last-consumer", Lookup::LastConsumer), ("scan", Lookup::Scan)];

/// The target for one case; `None` after noting what is wrong.
pub(super) fn resolve(builder: &mut Builder<'_>, target: &model::Target, scope: &Scope) -> Option<TargetSpec> {
    let driver = match &target.driver {
        model::Driver::Postgres => Some(Driver::Postgres),
        model::Driver::JetStream { duplicate_window } => {
            let window = match duplicate_window {
                None => Some(DUPLICATE_WINDOW),
                Some(window) => builder.resolve(window, scope).and_then(|value| {
                    let parsed = duration::parse(&value.to_string());
                    let parsed = parsed.map_err(|error| error.to_string()).and_then(|window| {
                        if window < DUPLICATE_WINDOW_MIN {
                            let least = DUPLICATE_WINDOW_MIN.as_millis();
                            Err(format!(
                                "`duplicate_window` must be at least {least}ms: JetStream refuses a shorter one"
                            ))
                        } else {
                            Ok(window)
                        }
                    });
                    parsed.map_err(|message| builder.fault(Code::BadDuration, message, &window.span)).ok()
                }),
            };
            // The headers become known with the steps.
            window.map(|duplicate_window| Driver::JetStream { duplicate_window, headers: BTreeSet::new() })
        }
        model::Driver::EventStore(options) => {
            let model::StoreOptions { backend, guard, lookup, cache, instances } = options.as_ref();
            let backend = word(builder, "backend", Some(backend), scope, &BACKENDS, Backend::Memory);
            let guard = word(builder, "guard", guard.as_ref(), scope, &GUARDS, Guard::Server);
            let written = lookup;
            let lookup = word(builder, "lookup", lookup.as_ref(), scope, &LOOKUPS, Lookup::DirectGet);
            if let (Some(backend), Some(lookup), Some(written)) = (backend, lookup, written)
                && let Err(unsupported) = backend.supports(lookup)
            {
                builder.fault(Code::BadValue, unsupported.to_string(), &written.span);
            }
            let cache =
                typed(builder, cache.as_ref(), scope, false, "`cache` must be true or false", |value| match value {
                    Value::Bool(cache) => Some(*cache),
                    _ => None,
                });
            let message = "`instances` must be a whole number of at least 1";
            let instances = typed(builder, instances.as_ref(), scope, 1, message, |value| match value {
                Value::Int(number) => u32::try_from(*number).ok().filter(|number| *number > 0),
                _ => None,
            });
            let options = || {
                Some(StoreOptions {
                    backend: backend?,
                    guard: guard?,
                    lookup: lookup?,
                    cache: cache?,
                    instances: instances?,
                })
            };
            options().map(Driver::EventStore)
        }
    };
    let settings = target.settings.iter().map(|(name, value)| {
        let value = builder.resolve(value, scope)?;
        Some((name.clone(), value.to_string()))
    });
    let settings = settings.collect::<Vec<_>>().into_iter().collect::<Option<_>>();
    let url = match (&target.url, &target.url_env) {
        (Some(url), _) => builder.resolve(url, scope).map(|url| Some(url.to_string())),
        (None, Some(variable)) => Some((builder.overrides.variable)(&variable.value)),
        (None, None) => Some(None),
    };
    let place = builder.place(&target.name.span);
    Some(TargetSpec {
        name: target.name.value.clone(),
        driver: driver?,
        settings: settings?,
        unset_variable: target.url_env.as_ref().filter(|_| url == Some(None)).map(|variable| variable.value.clone()),
        url: url?,
        statements: Vec::new(),
        place,
    })
}

/// The isolation level that a template names.
pub(super) fn isolation(builder: &mut Builder<'_>, template: &TemplateAt, scope: &Scope) -> Option<Isolation> {
    let value = builder.resolve(template, scope)?.to_string();
    let levels = Isolation::ALL.map(|level| (level.as_str(), level));
    find(builder, Code::BadIsolation, "transaction", &value, &template.span, &levels)
}

fn word<T: Copy>(
    builder: &mut Builder<'_>,
    key: &str,
    template: Option<&TemplateAt>,
    scope: &Scope,
    words: &[(&str, T)],
    default: T,
) -> Option<T> {
    let Some(template) = template else { return Some(default) };
    let value = builder.resolve(template, scope)?.to_string();
    find(builder, Code::BadValue, key, &value, &template.span, words)
}

fn find<T: Copy>(
    builder: &mut Builder<'_>,
    code: Code,
    key: &str,
    value: &str,
    span: &Span,
    words: &[(&str, T)],
) -> Option<T> {
    let found = words.iter().find(|(word, _)| *word == value).map(|(_, meaning)| *meaning);
    if found.is_none() {
        let mut diagnostic =
            Diagnostic::error(code, format!("`{key}` cannot be `{value}`")).at(span, "not one of the words");
        diagnostic.help = suggestion(value, words.iter().map(|(word, _)| *word));
        builder.push(diagnostic);
    }
    found
}

fn typed<T>(
    builder: &mut Builder<'_>,
    template: Option<&TemplateAt>,
    scope: &Scope,
    default: T,
    wanted: &str,
    convert: impl Fn(&Value) -> Option<T>,
) -> Option<T> {
    let Some(template) = template else { return Some(default) };
    let value = builder.resolve(template, scope)?;
    let converted = convert(&value);
    if converted.is_none() {
        builder.fault(Code::WrongType, format!("{wanted}, but is {} `{value}`", value.type_name()), &template.span);
    }
    converted
}
