mod credentials;
mod proxy;
mod server;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use tokio::sync::{Barrier, Notify};
use tokio::time::{Instant, timeout};

use self::server::Server;
use super::driver::{DATA, HEADERS, LAST_SEQUENCE, LAST_SUBJECT_SEQUENCE, MESSAGE_ID};
use super::*;
use crate::driver::proxy::{Cut, Proxy};
use crate::driver::testing::{named, place, request};
use crate::outcome::Tally;
use crate::port::{Entry, Options, Refusal, ServerOrigin, read};

const SPACE: &str = "deadheat_test";

/// How long anything may take, on a machine that is busy with something else.
const PATIENCE: Duration = Duration::from_secs(60);

fn spec() -> TargetSpec {
    TargetSpec {
        name: "bus".to_owned(),
        driver: &JETSTREAM,
        options: Options::new(JetStreamOptions { duplicate_window: Duration::from_secs(60) }),
        url: None,
        unset_variable: None,
        requests: Vec::new(),
        place: place(),
    }
}

async fn open_url(url: String) -> Result<Box<dyn Target>, TargetError> {
    open(&spec(), &Endpoint { url, origin: ServerOrigin::Given }, SPACE).await
}

async fn open_on(server: &Server) -> Box<dyn Target> {
    open_url(server.url()).await.unwrap()
}

/// The message of the environment error that opening ends with.
async fn open_fails(url: String) -> String {
    match open_url(url).await {
        Err(TargetError::Environment { message }) => message,
        Err(fault) => panic!("not the environment's error: {fault}"),
        Ok(_) => panic!("it opened"),
    }
}

#[derive(Clone, Default)]
struct Publish {
    subject: &'static str,
    data: Option<Value>,
    last: Option<i64>,
    last_of_subject: Option<i64>,
    id: Option<&'static str>,
    headers: BTreeMap<String, Value>,
}

impl Publish {
    fn to(subject: &'static str) -> Self {
        Publish { subject, ..Publish::default() }
    }

    fn request(self) -> Request<Value> {
        let mut given = vec![
            (SUBJECT, Entry::One(self.subject.into())),
            (DATA, Entry::One(self.data.unwrap_or("payload".into()))),
            (HEADERS, named(self.headers)),
        ];
        given.extend(self.last.map(|last| (LAST_SEQUENCE, Entry::One(Value::Int(last)))));
        given.extend(self.last_of_subject.map(|last| (LAST_SUBJECT_SEQUENCE, Entry::One(Value::Int(last)))));
        given.extend(self.id.map(|id| (MESSAGE_ID, Entry::One(id.into()))));
        request(&JETSTREAM, PUBLISH, given)
    }
}

fn messages_of(subject: &str) -> Request<Value> {
    request(&JETSTREAM, MESSAGES, vec![(SUBJECT, Entry::One(subject.into()))])
}

/// The call of a request on the stream of every test here.
fn bound(request: &Request<Value>) -> Result<Bound, TargetError> {
    let nowhere = Endpoint { url: "nats://127.0.0.1:1".to_owned(), origin: ServerOrigin::Given };
    let stream = Stream::new(Address::parse("bus", &nowhere).unwrap(), SPACE);
    Call::of(&stream, request).map(Bound::new)
}

async fn try_call(session: &mut dyn Session, request: &Request<Value>) -> Result<Reply, TargetError> {
    session.call(&mut bound(request)?, soon(), None).await
}

fn soon() -> Instant {
    Instant::now() + PATIENCE
}

async fn call(session: &mut dyn Session, publish: Publish) -> Reply {
    try_call(session, &publish.request()).await.unwrap()
}

fn refusal(reply: Reply) -> Refusal {
    match reply {
        Reply::Refused(refusal) => refusal,
        Reply::Done(done) => panic!("it was done: {done:?}"),
    }
}

async fn observe(target: &dyn Target, filter: &str) -> Vec<Value> {
    let done = read(target, &messages_of(filter)).await.unwrap();
    match done.result {
        Value::List(messages) => messages.to_vec(),
        other => panic!("not a list: {other}"),
    }
}

fn field<'a>(message: &'a Value, name: &str) -> &'a Value {
    match message {
        Value::Map(fields) => &fields[name],
        other => panic!("not a map: {other}"),
    }
}

/// Fifty workers do the same thing at once.
async fn race(target: &dyn Target, publish: Publish) -> Vec<Reply> {
    let barrier = Arc::new(Barrier::new(50));
    let mut workers = Vec::new();
    for worker in 0..50 {
        let mut session = target.session(worker).await.unwrap();
        let (barrier, publish) = (Arc::clone(&barrier), publish.clone());
        workers.push(tokio::spawn(async move {
            barrier.wait().await;
            call(session.as_mut(), publish).await
        }));
    }
    let mut replies = Vec::new();
    for worker in workers {
        replies.push(worker.await.unwrap());
    }
    replies
}

fn tally(replies: &[Reply]) -> String {
    let kind = |reply: &Reply| match reply {
        Reply::Done(_) => OutcomeKind::Success,
        Reply::Refused(refusal) => refusal.kind,
    };
    replies.iter().map(kind).collect::<Tally>().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_fifty_publishes_that_expect_an_empty_subject_is_stored() {
    let server = Server::start();
    let target = open_on(&server).await;
    let replies = race(target.as_ref(), Publish { last_of_subject: Some(0), ..Publish::to("orders.1") }).await;
    assert_eq!(tally(&replies), "1 success, 49 conflict");
    for reply in replies {
        match reply {
            Reply::Done(done) => assert_eq!(field(&done.result, "sequence"), &Value::Int(1)),
            Reply::Refused(refusal) => {
                assert_eq!(refusal.code, "10071");
                assert_eq!(refusal.message, "wrong last sequence: 1");
            }
        }
    }
    assert_eq!(observe(target.as_ref(), "orders.1").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_nine_of_fifty_publishes_with_one_id_are_duplicates() {
    let server = Server::start();
    let target = open_on(&server).await;
    let replies = race(target.as_ref(), Publish { id: Some("payment-7"), ..Publish::to("payments") }).await;
    assert_eq!(tally(&replies), "1 success, 49 duplicate");
    let duplicate = replies.into_iter().find(|reply| matches!(reply, Reply::Refused(_))).map(refusal).unwrap();
    assert_eq!(duplicate.code, "duplicate");
    assert_eq!(duplicate.message, "a message with the same id was stored before, with sequence 1");
    assert_eq!(observe(target.as_ref(), ">").await.len(), 1);
}

#[tokio::test]
async fn sequences_are_compared_with_the_stream_and_with_the_subject() {
    let server = Server::start();
    let target = open_on(&server).await;
    let mut session = target.session(0).await.unwrap();
    let session = session.as_mut();
    assert!(matches!(call(session, Publish { last: Some(0), ..Publish::to("a") }).await, Reply::Done(_)));
    assert!(matches!(call(session, Publish { last: Some(1), ..Publish::to("b") }).await, Reply::Done(_)));
    assert!(matches!(call(session, Publish { last_of_subject: Some(1), ..Publish::to("a") }).await, Reply::Done(_)));

    let late = refusal(call(session, Publish { last: Some(1), ..Publish::to("a") }).await);
    assert_eq!((late.kind, late.code.as_str()), (OutcomeKind::Conflict, "10071"));
    let late = refusal(call(session, Publish { last_of_subject: Some(1), ..Publish::to("a") }).await);
    assert_eq!((late.kind, late.code.as_str()), (OutcomeKind::Conflict, "10071"));
    let wrong = Publish { headers: [("Nats-Expected-Stream".to_owned(), "other".into())].into(), ..Publish::to("a") };
    let rejected = refusal(call(session, wrong).await);
    assert_eq!((rejected.kind, rejected.code.as_str()), (OutcomeKind::Rejected, "10060"));
    assert_eq!(observe(target.as_ref(), ">").await.len(), 3);
}

#[tokio::test]
async fn messages_come_back_as_they_were_published() {
    let server = Server::start();
    let target = open_on(&server).await;
    assert_eq!(observe(target.as_ref(), ">").await, []);

    let order = Value::map([("amount", Value::Int(3)), ("paid", Value::Bool(false))]);
    let first = Publish {
        data: Some(order.clone()),
        id: Some("first"),
        headers: [("Trace".to_owned(), Value::Int(17))].into(),
        ..Publish::to("orders.1")
    };
    target.apply(&first.request()).await.unwrap();
    target.apply(&Publish { data: Some("héllo {".into()), ..Publish::to("orders.2") }.request()).await.unwrap();
    target.apply(&Publish { data: Some("".into()), ..Publish::to("other") }.request()).await.unwrap();
    let raw = async_nats::connect(server.url()).await.unwrap();
    raw.request(format!("{SPACE}.orders.3"), bytes::Bytes::from_static(&[0xff, 0x00])).await.unwrap();

    let messages = observe(target.as_ref(), "orders.*").await;
    let expected = [
        (1, "orders.1", order, Value::map([("Nats-Msg-Id", "first"), ("Trace", "17")].map(|(k, v)| (k, v.into())))),
        (2, "orders.2", "héllo {".into(), Value::map::<String>([])),
        (4, "orders.3", "ff00".into(), Value::map::<String>([])),
    ];
    assert_eq!(
        messages,
        expected.map(|(sequence, subject, data, headers)| Value::map([
            ("sequence", Value::Int(sequence)),
            ("subject", subject.into()),
            ("data", data),
            ("headers", headers),
        ]))
    );
    assert_eq!(observe(target.as_ref(), ">").await.len(), 4);
    assert_eq!(observe(target.as_ref(), "nothing").await, []);
}

#[tokio::test]
async fn more_messages_than_are_read_are_a_fault() {
    let server = Server::start();
    let target = open_on(&server).await;
    let patient = async_nats::ConnectOptions::new().request_timeout(Some(PATIENCE));
    let raw = patient.connect(server.url()).await.unwrap();
    for _ in 0..messages::LIMIT {
        raw.publish(format!("{SPACE}.many"), bytes::Bytes::new()).await.unwrap();
    }
    // The answer to this one comes after all of them are stored.
    raw.request(format!("{SPACE}.one"), bytes::Bytes::new()).await.unwrap();
    assert_eq!(observe(target.as_ref(), "many").await.len(), messages::LIMIT);
    assert_eq!(
        target.observe(&messages_of(">")).await,
        Err(TargetError::Fault {
            message:
                "the stream has 100001 messages for `>`, and no more than 100000 are read; give a narrower subject"
                    .to_owned()
        })
    );
}

#[tokio::test]
async fn the_stream_is_the_cases_own() {
    let server = Server::start();
    let target = open_on(&server).await;
    target.apply(&Publish::to("a").request()).await.unwrap();
    assert_eq!(target.description().version, async_nats::connect(server.url()).await.unwrap().server_info().version);
    assert!(open_fails(server.url()).await.contains("`deadheat_test` exists already"));
    target.close().await.unwrap();
    target.close().await.unwrap();
    open_on(&server).await.close().await.unwrap();
}

#[tokio::test]
async fn a_stream_that_is_gone_is_the_environments_error() {
    let server = Server::start();
    let target = open_on(&server).await;
    let mut session = target.session(0).await.unwrap();
    target.close().await.unwrap();

    let operation = Publish::to("a").request();
    let unheard = refusal(try_call(session.as_mut(), &operation).await.unwrap());
    assert_eq!((unheard.kind, unheard.code.as_str()), (OutcomeKind::Disconnected, "no-responders"));
    assert!(matches!(target.apply(&operation).await, Err(TargetError::Environment { .. })));
    let messages = messages_of(">");
    assert!(matches!(target.observe(&messages).await, Err(TargetError::Environment { .. })));
    assert!(matches!(target.session(1).await, Err(TargetError::Environment { .. })));
}

#[tokio::test]
async fn answers_that_only_other_servers_give_are_understood() {
    let server = Server::start();
    let target = open_on(&server).await;
    let mut session = target.session(0).await.unwrap();
    target.close().await.unwrap();
    // Somebody who answers a publish with its own payload takes the stream's place.
    let raw = async_nats::connect(server.url()).await.unwrap();
    let mut requests = raw.subscribe(format!("{SPACE}.>")).await.unwrap();
    // What comes back over the same connection shows that the server knows the subscription.
    raw.publish(format!("{SPACE}.ready"), "".into()).await.unwrap();
    requests.next().await.unwrap();
    tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            raw.publish(request.reply.unwrap(), request.payload).await.unwrap();
        }
    });
    let mut answer = async |answer: &str| {
        let publish = Publish { data: Some(answer.into()), ..Publish::to("a") };
        try_call(session.as_mut(), &publish.request()).await
    };

    let clustered = r#"{"error":{"code":400,"err_code":10164,"description":"wrong last sequence"}}"#;
    assert_eq!(
        answer(clustered).await,
        Ok(Reply::Refused(Refusal::new(OutcomeKind::Conflict, Cause::Server, "10164", "wrong last sequence")))
    );
    let gone = r#"{"error":{"code":404,"err_code":10059,"description":"stream not found"}}"#;
    assert!(matches!(answer(gone).await, Err(TargetError::Environment { .. })));
    assert_eq!(refusal(answer("hello").await.unwrap()).kind, OutcomeKind::Crash);
}

#[tokio::test]
async fn what_a_stream_cannot_do_is_a_fault() {
    let server = Server::start();
    let target = open_on(&server).await;
    let mut session = target.session(0).await.unwrap();
    let is_fault = |result: Result<Reply, TargetError>| matches!(result, Err(TargetError::Fault { .. }));
    assert!(session.transactions().is_none());
    for publish in [
        Publish::to("a.*"),
        Publish::to("a b"),
        Publish { last: Some(-1), ..Publish::to("a") },
        Publish { id: Some("a\r\nb"), ..Publish::to("a") },
        Publish { headers: [("a b".to_owned(), Value::Int(1))].into(), ..Publish::to("a") },
        Publish { data: Some("x".repeat(2 << 20).as_str().into()), ..Publish::to("a") },
    ] {
        assert!(is_fault(try_call(session.as_mut(), &publish.request()).await));
    }
    let latest = Request { spec: &crate::judge::fixture::READ, fields: Vec::new(), pauses: Vec::new() };
    assert!(is_fault(try_call(session.as_mut(), &latest).await));
    assert!(matches!(target.apply(&latest).await, Err(TargetError::Fault { .. })));
    assert!(matches!(target.observe(&latest).await, Err(TargetError::Fault { .. })));

    target.apply(&Publish { last: Some(0), ..Publish::to("a") }.request()).await.unwrap();
    let again = target.apply(&Publish { last: Some(0), ..Publish::to("a") }.request()).await;
    assert_eq!(again, Err(TargetError::Fault { message: "JetStream: wrong last sequence: 1 (10071)".to_owned() }));
}

#[tokio::test]
async fn a_publish_without_an_answer_is_unknown_at_its_deadline() {
    let server = Server::start();
    let target = open_on(&server).await;
    let mut session = target.session(0).await.unwrap();
    server.freeze();
    let begin = Instant::now();
    let deadline = begin + Duration::from_millis(200);
    let late = refusal(session.call(&mut bound(&Publish::to("a").request()).unwrap(), deadline, None).await.unwrap());
    assert_eq!((late.kind, late.code.as_str()), (OutcomeKind::Unknown, "no-ack"));
    assert!(begin.elapsed() < PATIENCE, "{:?}", begin.elapsed());

    server.wake();
    session.reset().await.unwrap();
    assert!(matches!(call(session.as_mut(), Publish::to("b")).await, Reply::Done(_)));
    // What was not known to be stored is stored indeed, once the server has come to it.
    let woken = Instant::now();
    while observe(target.as_ref(), "a").await.is_empty() {
        assert!(woken.elapsed() < PATIENCE, "it was never stored");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(observe(target.as_ref(), "a").await.len(), 1);
}

#[tokio::test]
async fn a_server_that_dies_leaves_what_was_sent_unknown() {
    let server = Server::start();
    let sent = Arc::new(Notify::new());
    let tell = {
        let sent = Arc::clone(&sent);
        move |bytes: &[u8]| {
            if bytes.windows(8).any(|window| window == b".doomed ") {
                sent.notify_one();
            }
            false
        }
    };
    let proxy = proxy::start(([127, 0, 0, 1], server.port).into(), tell).await;
    let target = open_url(format!("nats://{proxy}")).await.unwrap();
    let mut session = target.session(0).await.unwrap();
    server.freeze();
    let begin = Instant::now();
    let (reply, ()) = tokio::join!(call(session.as_mut(), Publish::to("doomed")), async {
        timeout(PATIENCE, sent.notified()).await.expect("the publish is on its way to the server");
        server.kill();
    });
    let lost = refusal(reply);
    assert_eq!((lost.kind, lost.code.as_str()), (OutcomeKind::Unknown, "connection-lost"));

    let not_sent = refusal(call(session.as_mut(), Publish::to("a")).await);
    assert_eq!((not_sent.kind, not_sent.code.as_str()), (OutcomeKind::Disconnected, "connection-lost"));
    for error in [
        session.clean().await.unwrap_err(),
        target.apply(&Publish::to("a").request()).await.unwrap_err(),
        target.observe(&messages_of(">")).await.unwrap_err(),
        target.close().await.unwrap_err(),
    ] {
        assert!(matches!(error, TargetError::Environment { .. }), "{error}");
    }
    assert!(begin.elapsed() < PATIENCE, "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_connection_that_is_cut_before_the_answer_leaves_it_unknown() {
    let server = Server::start();
    let fatal = |bytes: &[u8]| bytes.windows(5).any(|window| window == b".cut ");
    let proxy = proxy::start(([127, 0, 0, 1], server.port).into(), fatal).await;
    let target = open_url(format!("nats://{proxy}")).await.unwrap();
    let mut session = target.session(0).await.unwrap();
    let session = session.as_mut();
    assert!(matches!(call(session, Publish::to("whole")).await, Reply::Done(_)));
    let lost = refusal(call(session, Publish::to("cut")).await);
    assert_eq!((lost.kind, lost.code.as_str()), (OutcomeKind::Unknown, "connection-lost"));
    session.reset().await.unwrap();
    session.clean().await.unwrap();
    assert!(matches!(call(session, Publish::to("whole")).await, Reply::Done(_)));
    // It was stored once: nothing was sent again behind our back.
    assert_eq!(observe(target.as_ref(), "cut").await.len(), 1);
}

#[tokio::test]
async fn a_control_connection_that_is_cut_comes_back() {
    let server = Server::start();
    let proxy = Proxy::start(([127, 0, 0, 1], server.port).into()).await;
    let target = open_url(format!("nats://{}", proxy.address)).await.unwrap();
    target.apply(&Publish::to("a").request()).await.unwrap();
    for cut in [Cut::Before, Cut::AfterForwarding] {
        proxy.cut_at(b"CONSUMER.CREATE", cut);
        assert_eq!(observe(target.as_ref(), "a").await.len(), 1);
    }
    target.apply(&Publish::to("a").request()).await.unwrap();
    assert_eq!(observe(target.as_ref(), "a").await.len(), 2);
}

#[tokio::test]
async fn a_server_that_comes_back_is_raced_on() {
    let mut server = Server::start();
    let target = open_on(&server).await;
    let mut session = target.session(0).await.unwrap();
    assert!(matches!(call(session.as_mut(), Publish::to("a")).await, Reply::Done(_)));
    server.kill();
    // Nobody had sent anything: the loss is noticed, and nothing is unknown.
    let lost = refusal(call(session.as_mut(), Publish { last: Some(9), ..Publish::to("a") }).await);
    assert!(matches!(lost.kind, OutcomeKind::Disconnected | OutcomeKind::Unknown), "{lost:?}");
    server.come_back();
    session.clean().await.unwrap();
    session.prepare().await.unwrap();
    assert!(matches!(call(session.as_mut(), Publish::to("a")).await, Reply::Done(_)));
    assert_eq!(observe(target.as_ref(), "a").await.len(), 2);
}

#[tokio::test]
async fn refused_logins_name_the_user_and_no_secret() {
    let server = Server::start_with(&["-js", "--user", "alice", "--pass", "r1ght"]);
    let at = format!("127.0.0.1:{}", server.port);
    let refused = open_fails(format!("nats://alice:wr0ng@{at}")).await;
    assert!(refused.contains(&at) && refused.contains("user `alice`"), "{refused}");
    assert!(!refused.contains("wr0ng"), "{refused}");
    assert!(open_fails(server.url()).await.contains("no credentials; give them in the URL"));
    open_url(format!("nats://alice:r1ght@{at}")).await.unwrap().session(0).await.unwrap();

    let server = Server::start_with(&["-js", "--auth", "r1ght"]);
    let at = format!("127.0.0.1:{}", server.port);
    let refused = open_fails(format!("nats://wr0ng@{at}")).await;
    assert!(refused.contains(&at) && refused.contains("a token"), "{refused}");
    assert!(!refused.contains("wr0ng"), "{refused}");
    open_url(format!("nats://r1ght@{at}")).await.unwrap().session(0).await.unwrap();

    let missing = open_fails(format!("nats://{at}?creds=/nowhere/alice.creds")).await;
    assert!(missing.contains("`/nowhere/alice.creds`"), "{missing}");
}

#[tokio::test]
async fn a_server_without_jetstream_is_told_how_to_enable_it() {
    let server = Server::start_with(&[]);
    let message = timeout(PATIENCE, open_fails(server.url())).await.unwrap();
    assert!(message.contains("`nats-server -js`"), "{message}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_how_to_start_it() {
    let server = Server::start();
    let url = server.url();
    drop(server);
    let message = timeout(PATIENCE, open_fails(url)).await.unwrap();
    assert!(message.contains("Connection refused") && message.contains("`nats-server -js`"), "{message}");

    // Somebody listens and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("nats://{}", silent.local_addr().unwrap());
    let message = timeout(PATIENCE, open_fails(url)).await.unwrap();
    assert!(message.contains("cannot be reached"), "{message}");
}
