//! The driver `jetstream`: its word, its keys, and what its targets can be asked.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::headers::{self, ServerHeader};
use super::provider::NATS_SERVERS;
use crate::diagnostic::{Code, Diagnostic, suggestion};
use crate::port::{
    Driver, Field, Given, Layout, Literal, Misfit, Need, NoRules, Notes, Options, Provider, RequestAt, RequestSpec,
    ResultShape, Rules, Shape, Source, Target, TargetError, TargetSpec, Usage, Written,
};

/// NATS JetStream through async-nats, one connection for each worker and a stream for each case.
pub static JETSTREAM: JetStreamDriver = JetStreamDriver;

/// The driver `jetstream`.
#[derive(Debug)]
pub struct JetStreamDriver;

/// How long JetStream remembers message ids when the target does not say: the server's own default.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

const DUPLICATE_WINDOW_KEY: &str = "duplicate_window";

/// The keys of `publish` and `messages`.
pub(super) const SUBJECT: &str = "subject";
pub(super) const DATA: &str = "data";
pub(super) const LAST_SEQUENCE: &str = "expected_last_sequence";
pub(super) const LAST_SUBJECT_SEQUENCE: &str = "expected_last_subject_sequence";
pub(super) const MESSAGE_ID: &str = "message_id";
pub(super) const HEADERS: &str = "headers";

/// The key that publishes.
pub(super) const PUBLISH: &str = "publish";
/// The key that reads the stream.
pub(super) const MESSAGES: &str = "messages";

const fn value(key: &'static str, need: Need, doc: &'static str) -> Field {
    Field { key, shape: Shape::Value, need, doc }
}

static OPTIONS: [Field; 1] = [Field {
    key: DUPLICATE_WINDOW_KEY,
    // 0 means the server's own default there.
    shape: Shape::Duration { least: Duration::from_millis(100), why: "JetStream refuses a shorter one" },
    need: Need::Optional,
    doc: "how long message ids are remembered, such as `30s`; default 2m.",
}];

static REQUESTS: [RequestSpec; 2] = [
    RequestSpec {
        key: PUBLISH,
        word: PUBLISH,
        doc: "Publishes a message.",
        usages: &[Usage::Step, Usage::Fixture],
        layout: Layout::Table,
        fields: &[
            value(SUBJECT, Need::Required, "Its subject, within the target's own stream."),
            value(DATA, Need::Default(Literal::Text("")), "Its payload: text as it is, anything else as JSON."),
            value(LAST_SEQUENCE, Need::Optional, "Stores only if this is the stream's last sequence."),
            value(LAST_SUBJECT_SEQUENCE, Need::Optional, "Stores only if this is the subject's last sequence."),
            value(MESSAGE_ID, Need::Optional, "The id by which duplicates are known."),
            Field {
                key: HEADERS,
                shape: Shape::Named,
                need: Need::Optional,
                doc: "Further headers; the case of those that the server acts on makes no difference.",
            },
        ],
        result: ResultShape::Value("result"),
        may_write: true,
        pauses: &[],
        rules: &HeaderRules,
    },
    RequestSpec {
        key: MESSAGES,
        word: MESSAGES,
        doc: "Reads the stream's messages, oldest first, bound to `messages`.",
        usages: &[Usage::Probe],
        layout: Layout::Table,
        fields: &[value(SUBJECT, Need::Default(Literal::Text(">")), "A subject filter.")],
        result: ResultShape::Value("messages"),
        may_write: false,
        pauses: &[],
        rules: &NoRules,
    },
];

/// What a target's keys say.
#[derive(Debug, Clone)]
pub(super) struct JetStreamOptions {
    /// `duplicate_window`: how long the server remembers message ids.
    pub(super) duplicate_window: Duration,
}

impl Default for JetStreamOptions {
    fn default() -> Self {
        JetStreamOptions { duplicate_window: DUPLICATE_WINDOW }
    }
}

impl Driver for JetStreamDriver {
    fn word(&self) -> &'static str {
        "jetstream"
    }

    fn options(&self) -> &'static [Field] {
        &OPTIONS
    }

    fn requests(&self) -> &'static [RequestSpec] {
        &REQUESTS
    }

    fn configure(&self, given: &Given) -> Result<Options, Misfit> {
        let duplicate_window = given.duration(DUPLICATE_WINDOW_KEY).unwrap_or(DUPLICATE_WINDOW);
        Ok(Options::new(JetStreamOptions { duplicate_window }))
    }

    fn provider(&self, _: &Options) -> Option<&'static dyn Provider> {
        Some(&NATS_SERVERS)
    }

    fn open<'a>(
        &'a self,
        spec: &'a TargetSpec,
        source: &'a Source,
        namespace: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn Target>, TargetError>> {
        async move { super::open(spec, source.server(&spec.name)?, namespace).await }.boxed()
    }
}

/// The headers of the requests' messages that a server acts on.
pub(super) fn server_headers(requests: &[RequestAt]) -> BTreeSet<ServerHeader> {
    let names = requests.iter().flat_map(|it| it.request.named(HEADERS));
    names.filter_map(|(name, _)| headers::known(&name.value)).collect()
}

/// What the headers of a message show without a server.
struct HeaderRules;

impl Rules for HeaderRules {
    /// Notes headers that say twice what only one can say, and those that no server knows.
    fn check(&self, written: &Written<'_>, notes: &mut dyn Notes) {
        let headers = written.request.named(HEADERS);
        for (position, (name, _)) in headers.iter().enumerate() {
            let text = headers::spelled(&name.value);
            if let Some((key, value)) = headers::key_of(text).and_then(|key| Some((key, written.request.one(key)?))) {
                let message = format!("the header `{text}` and the key `{key}` say the same thing");
                let diagnostic = Diagnostic::error(Code::ConflictingKeys, message).at(&name.span, "one too many");
                notes.push(diagnostic.see(&value.span, "said here").help("keep one of them"));
            }
            let other = headers[..position].iter().find(|(other, _)| other.value.eq_ignore_ascii_case(text));
            if let Some((other, _)) = other {
                let message = format!("the header `{text}` is written twice; case makes no difference");
                let diagnostic = Diagnostic::error(Code::ConflictingKeys, message).at(&name.span, "one too many");
                notes.push(diagnostic.see(&other.span, "written here").help("keep one of them"));
            }
            if text.eq_ignore_ascii_case(headers::DATA_MARK) {
                let message = format!("the header `{text}` is deadheat's own: it says what type `data` has");
                notes.push(Diagnostic::error(Code::BadValue, message).at(&name.span, "reserved"));
            }
            let is_of_nats = text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("nats-"));
            if is_of_nats && headers::known(text).is_none() {
                let message = format!("no server is known to act on the header `{text}`");
                let mut diagnostic = Diagnostic::warning(Code::BadValue, message).at(&name.span, "only stored");
                diagnostic.help = suggestion(text, headers::KNOWN.iter().map(|header| header.name));
                notes.push(diagnostic);
            }
        }
    }
}
