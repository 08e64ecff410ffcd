//! As much of both protocols as it takes to see requests and their answers pass by.

/// What a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Postgres,
    Nats,
}

/// What a client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It said its name: PostgreSQL's `application_name`, NATS's `name`.
    Name(String),
    /// It asked something.
    Request(Answer),
    /// Anything else, which is no request or not yet a whole one.
    Other,
}

/// How the answer to a request is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Answers come in the order of requests.
    InOrder,
    /// It is a message to this subject.
    To(String),
    /// It is the next message, which has the subject under which it is stored.
    Next,
    /// None comes.
    Never,
}

/// What a server sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    /// A request was answered, and refused or not.
    Answer { refused: bool },
    /// Anything else.
    Other,
}

/// The bytes of one direction, cut into messages.
pub(crate) struct Stream {
    protocol: Protocol,
    bytes: Vec<u8>,
    started: bool,
    /// PostgreSQL: what was answered so far is an error, or a COMMIT that became a rollback.
    refused: bool,
}

impl Stream {
    pub(crate) fn new(protocol: Protocol) -> Self {
        Stream { protocol, bytes: Vec::new(), started: false, refused: false }
    }

    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next thing that a client sent, with its bytes. What PostgreSQL carries out only together, up to `Sync`, is one.
    pub(crate) fn sent(&mut self) -> Option<(Vec<u8>, Sent)> {
        let (length, sent) = match self.protocol {
            Protocol::Nats => nats_sent(&self.bytes)?,
            Protocol::Postgres if !self.started => {
                let (length, sent) = postgres_start(&self.bytes)?;
                self.started = matches!(sent, Sent::Name(_));
                (length, sent)
            }
            Protocol::Postgres => postgres_sent(&self.bytes)?,
        };
        Some((self.bytes.drain(..length).collect(), sent))
    }

    /// The next message of a server, and whether it is the answer that is waited for.
    pub(crate) fn received(&mut self, wanted: &Answer) -> Option<Received> {
        match self.protocol {
            Protocol::Nats => {
                let message = nats_message(&self.bytes)?;
                let is_answer = message.has_payload
                    && match wanted {
                        Answer::To(subject) => message.words.get(1) == Some(subject),
                        Answer::Next => true,
                        Answer::InOrder | Answer::Never => false,
                    };
                let refused = contains(&self.bytes[..message.length], br#""error""#);
                self.bytes.drain(..message.length);
                Some(if is_answer { Received::Answer { refused } } else { Received::Other })
            }
            Protocol::Postgres => {
                let length = 1 + postgres_length(self.bytes.get(1..)?)?;
                let message: Vec<u8> = self.bytes.get(..length)?.to_vec();
                self.bytes.drain(..length);
                match message[0] {
                    b'E' => self.refused = true,
                    b'C' if message[5..].starts_with(b"ROLLBACK") => self.refused = true,
                    b'Z' => return Some(Received::Answer { refused: std::mem::take(&mut self.refused) }),
                    _ => {}
                }
                Some(Received::Other)
            }
        }
    }
}

/// The length that stands at the beginning of `bytes`, and counts itself; `None` while the message is not whole.
fn postgres_length(bytes: &[u8]) -> Option<usize> {
    let length = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    (bytes.len() >= length).then_some(length)
}

/// Before a connection has begun its messages have no type. Names and values follow each other, each ended by a zero.
fn postgres_start(bytes: &[u8]) -> Option<(usize, Sent)> {
    const PROTOCOL_3: [u8; 4] = [0, 3, 0, 0];
    let length = postgres_length(bytes)?;
    if bytes[4..8] != PROTOCOL_3 {
        return Some((length, Sent::Other));
    }
    let words: Vec<&[u8]> = bytes[8..length].split(|byte| *byte == 0).collect();
    let named = words.chunks(2).find(|pair| pair[0] == b"application_name").and_then(|pair| pair.get(1));
    Some((length, Sent::Name(named.map(|name| String::from_utf8_lossy(name).into_owned()).unwrap_or_default())))
}

fn postgres_sent(bytes: &[u8]) -> Option<(usize, Sent)> {
    let mut end = 0;
    loop {
        let kind = *bytes.get(end)?;
        end += 1 + postgres_length(bytes.get(end + 1..)?)?;
        match kind {
            b'Q' | b'S' => return Some((end, Sent::Request(Answer::InOrder))),
            // Parse, Bind, Describe, Execute and Close are answered at the Sync after them.
            b'P' | b'B' | b'D' | b'E' | b'C' => {}
            _ => return Some((end, Sent::Other)),
        }
    }
}

struct NatsMessage {
    words: Vec<String>,
    has_payload: bool,
    length: usize,
}

/// A line of words; publishes and messages have a payload of as many bytes as their last word says.
fn nats_message(bytes: &[u8]) -> Option<NatsMessage> {
    let line = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    let words: Vec<String> = String::from_utf8_lossy(&bytes[..line]).split(' ').map(str::to_owned).collect();
    let has_payload = matches!(words[0].as_str(), "PUB" | "HPUB" | "MSG" | "HMSG");
    let payload: usize = if has_payload { words.last()?.parse::<usize>().ok()? + 2 } else { 0 };
    let length = line + 2 + payload;
    (bytes.len() >= length).then_some(NatsMessage { words, has_payload, length })
}

fn nats_sent(bytes: &[u8]) -> Option<(usize, Sent)> {
    let NatsMessage { words, length, .. } = nats_message(bytes)?;
    // What a PUB has beyond subject and length, and an HPUB beyond subject and two lengths, is the reply's subject.
    let answer = |without: usize| match words.get(2).filter(|_| words.len() > without) {
        Some(_) if words[1].contains(".CONSUMER.MSG.NEXT.") => Answer::Next,
        Some(subject) => Answer::To(subject.clone()),
        None => Answer::Never,
    };
    let sent = match words[0].as_str() {
        "PUB" => Sent::Request(answer(3)),
        "HPUB" => Sent::Request(answer(4)),
        "CONNECT" => {
            let options: serde_json::Value = serde_json::from_str(&words[1..].join(" ")).unwrap_or_default();
            Sent::Name(options["name"].as_str().unwrap_or_default().to_owned())
        }
        _ => Sent::Other,
    };
    Some((length, sent))
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::{Answer, Protocol, Received, Sent, Stream};

    fn postgres(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut message = vec![kind];
        message.extend((body.len() as u32 + 4).to_be_bytes());
        message.extend(body);
        message
    }

    #[test]
    fn what_postgresql_carries_out_together_is_one_request() {
        let mut stream = Stream::new(Protocol::Postgres);
        let parameters = b"\0\x03\0\0user\0u\0application_name\0deadheat dh_1_0 session 0;\0\0";
        let mut start = (parameters.len() as u32 + 4).to_be_bytes().to_vec();
        start.extend(parameters);
        stream.feed(&start);
        assert_eq!(stream.sent().unwrap().1, Sent::Name("deadheat dh_1_0 session 0;".to_owned()));
        stream.feed(&[postgres(b'B', b"x"), postgres(b'E', b"y")].concat());
        assert!(stream.sent().is_none(), "no Sync yet");
        stream.feed(&postgres(b'S', b""));
        let (bytes, sent) = stream.sent().unwrap();
        assert_eq!((bytes.len(), sent), (6 + 6 + 5, Sent::Request(Answer::InOrder)));
        stream.feed(&postgres(b'X', b""));
        assert_eq!(stream.sent().unwrap().1, Sent::Other);
    }

    #[test]
    fn an_answer_of_postgresql_says_whether_the_request_was_refused() {
        let mut stream = Stream::new(Protocol::Postgres);
        let mut answered = |first: Vec<u8>| {
            stream.feed(&first);
            stream.feed(&postgres(b'Z', b"I"));
            assert_eq!(stream.received(&Answer::InOrder), Some(Received::Other));
            stream.received(&Answer::InOrder)
        };
        assert_eq!(answered(postgres(b'C', b"COMMIT\0")), Some(Received::Answer { refused: false }));
        assert_eq!(answered(postgres(b'E', b"no\0")), Some(Received::Answer { refused: true }));
        assert_eq!(answered(postgres(b'C', b"ROLLBACK\0")), Some(Received::Answer { refused: true }));
        assert_eq!(answered(postgres(b'C', b"INSERT 0 1\0")), Some(Received::Answer { refused: false }));
    }

    #[test]
    fn publishes_of_nats_are_requests_and_messages_to_their_inbox_answers() {
        let mut stream = Stream::new(Protocol::Nats);
        stream.feed(
            b"CONNECT {\"name\":\"deadheat dh_1_0 session-3\"}\r\nPING\r\nHPUB a.b _I.1 12 14\r\nNATS/1.0\r\n\r\n",
        );
        assert_eq!(stream.sent().unwrap().1, Sent::Name("deadheat dh_1_0 session-3".to_owned()));
        assert_eq!(stream.sent().unwrap().1, Sent::Other);
        assert!(stream.sent().is_none(), "the payload is not whole");
        stream.feed(b"hi\r\nPUB c 2\r\n\r\n\r\n");
        assert_eq!(stream.sent().unwrap().1, Sent::Request(Answer::To("_I.1".to_owned())));
        assert_eq!(stream.sent().unwrap().1, Sent::Request(Answer::Never));
        stream.feed(b"PUB $JS.API.CONSUMER.MSG.NEXT.s.c _I.2 0\r\n\r\n");
        assert_eq!(stream.sent().unwrap().1, Sent::Request(Answer::Next));

        let mut stream = Stream::new(Protocol::Nats);
        stream.feed(b"PONG\r\nMSG _I.2 1 2\r\n{}\r\nMSG _I.1 1 12\r\n{\"error\":{}}\r\n");
        let received: Vec<_> = std::iter::from_fn(|| stream.received(&Answer::To("_I.1".to_owned()))).collect();
        assert_eq!(received, [Received::Other, Received::Other, Received::Answer { refused: true }]);
    }
}
