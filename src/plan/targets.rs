//! Resolves targets for a case: templates become words, words become drivers' options.

use super::case::Builder;
use crate::diagnostic::{Code, Diagnostic, Span, suggestion};
use crate::duration;
use crate::expression::Scope;
use crate::port::{Entry, Field, Given, Isolation, Need, Options, Shape, TargetSpec, TemplateAt};
use crate::scenario::model;
use crate::value::Value;

/// The target for one case; `None` after noting what is wrong.
pub(super) fn resolve(builder: &mut Builder<'_>, target: &model::Target, scope: &Scope) -> Option<TargetSpec> {
    let options = options(builder, target, scope);
    let url = match (&target.url, &target.url_env) {
        (Some(url), _) => builder.resolve(url, scope).map(|url| Some(url.to_string())),
        (None, Some(variable)) => Some((builder.overrides.variable)(&variable.value)),
        (None, None) => Some(None),
    };
    let place = builder.place(&target.name.span);
    Some(TargetSpec {
        name: target.name.value.clone(),
        driver: target.driver,
        options: options?,
        unset_variable: target.url_env.as_ref().filter(|_| url == Some(None)).map(|variable| variable.value.clone()),
        url: url?,
        requests: Vec::new(),
        place,
    })
}

/// The isolation level that a template names.
pub(super) fn isolation(builder: &mut Builder<'_>, template: &TemplateAt, scope: &Scope) -> Option<Isolation> {
    let value = builder.resolve(template, scope)?.to_string();
    let levels = Isolation::ALL.map(|level| (level.as_str(), level));
    find(builder, Code::BadIsolation, "transaction", &value, &template.span, &levels)
}

/// What the driver makes of the target's own keys.
fn options(builder: &mut Builder<'_>, target: &model::Target, scope: &Scope) -> Option<Options> {
    let mut given = Given::default();
    let put: Vec<Option<()>> =
        target.options.iter().map(|(field, entry)| put(builder, &mut given, field, entry, scope)).collect();
    put.into_iter().collect::<Option<()>>()?;
    match target.driver.configure(&given) {
        Ok(options) => Some(options),
        Err(misfit) => {
            let written = target.options.iter().find(|(field, _)| field.key == misfit.key);
            let span = match written {
                Some((_, Entry::One(template))) => &template.span,
                _ => &target.name.span,
            };
            builder.fault(Code::BadValue, misfit.message, span);
            None
        }
    }
}

/// Notes what the key `field` gives; `None` after noting that its value does not have the field's shape.
fn put(
    builder: &mut Builder<'_>,
    given: &mut Given,
    field: &Field,
    entry: &Entry<TemplateAt>,
    scope: &Scope,
) -> Option<()> {
    let template = match (entry, field.need) {
        (Entry::One(template), _) => template,
        (Entry::Named(entries), _) => {
            let named: Vec<Option<(String, String)>> = entries
                .iter()
                .map(|(name, value)| Some((name.value.clone(), builder.resolve(value, scope)?.to_string())))
                .collect();
            given.put_named(field.key, named.into_iter().collect::<Option<_>>()?);
            return Some(());
        }
        (Entry::Absent | Entry::Many(_), Need::Default(literal)) => {
            given.put(field.key, literal.into());
            return Some(());
        }
        (Entry::Absent | Entry::Many(_), Need::Required | Need::Optional) => return Some(()),
    };
    let value = builder.resolve(template, scope)?;
    let wanted = match (field.shape, &value) {
        (Shape::Words(known), _) => {
            let words: Vec<(&str, ())> = known.iter().map(|word| (*word, ())).collect();
            find(builder, Code::BadValue, field.key, &value.to_string(), &template.span, &words)?;
            None
        }
        (Shape::Flag, Value::Bool(_)) => None,
        (Shape::Flag, _) => Some("true or false".to_owned()),
        (Shape::Whole { least }, Value::Int(number)) if *number >= least => None,
        (Shape::Whole { least }, _) => Some(format!("a whole number of at least {least}")),
        (Shape::Duration { least, why }, _) => {
            let parsed = duration::parse(&value.to_string()).map_err(|error| error.to_string());
            let parsed = parsed.and_then(|parsed| {
                let message = || format!("`{}` must be at least {}ms: {why}", field.key, least.as_millis());
                if parsed < least { Err(message()) } else { Ok(parsed) }
            });
            match parsed {
                Ok(parsed) => given.put_duration(field.key, parsed),
                Err(message) => {
                    builder.fault(Code::BadDuration, message, &template.span);
                    return None;
                }
            }
            return Some(());
        }
        (Shape::Text | Shape::Value | Shape::Values | Shape::Named, _) => None,
    };
    if let Some(wanted) = wanted {
        let message = format!("`{}` must be {wanted}, but is {} `{value}`", field.key, value.type_name());
        builder.fault(Code::WrongType, message, &template.span);
        return None;
    }
    given.put(field.key, value);
    Some(())
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
