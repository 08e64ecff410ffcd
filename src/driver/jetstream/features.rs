//! What a scenario's headers need of the server and of the stream.

use std::collections::BTreeSet;

use super::connection::Address;
use crate::driver::jetstream::headers::{Feature, ServerHeader, ServerVersion};
use crate::port::TargetError;

/// Refuses a server that would ignore one of the headers. A version that cannot be read is a warning.
pub(super) fn check(
    target: &str,
    address: &Address,
    version: &str,
    headers: &BTreeSet<ServerHeader>,
) -> Result<Vec<String>, TargetError> {
    let Some(found) = ServerVersion::read(version) else {
        return Ok(match headers.iter().next_back() {
            Some(header) if header.feature != Feature::Always => vec![format!(
                "the server calls its version `{version}`, so it is not known whether it knows `{}`",
                header.name
            )],
            _ => Vec::new(),
        });
    };
    let Some(header) =
        headers.iter().filter(|header| header.feature.since() > found).max_by_key(|it| it.feature.since())
    else {
        return Ok(Vec::new());
    };
    Err(TargetError::Environment {
        message: format!(
            "the scenario uses {} (header `{}`), which need nats-server {} or newer, but {} is {version} and would ignore \
             the header; name a newer server with `--target {target}=nats://HOST:PORT`, or put a newer `nats-server` first \
             on PATH",
            header.feature.as_str(),
            header.name,
            header.feature.since(),
            address.described(),
        ),
    })
}

/// The settings of a stream that takes messages with these headers.
pub(super) fn stream_settings(headers: &BTreeSet<ServerHeader>) -> BTreeSet<&'static str> {
    let mut settings: BTreeSet<&str> = headers.iter().filter_map(|header| header.feature.stream_setting()).collect();
    if headers.iter().any(|header| header.name == "Nats-Schedule-TTL") {
        settings.extend(Feature::MessageTtl.stream_setting());
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::jetstream::headers::known;
    use crate::port::{Endpoint, ServerOrigin};

    fn checked(version: &str, names: &[&str]) -> Result<Vec<String>, TargetError> {
        let endpoint = Endpoint { url: "nats://host".to_owned(), origin: ServerOrigin::Private };
        let headers = names.iter().map(|name| known(name).unwrap()).collect();
        check("bus", &Address::parse("bus", &endpoint).unwrap(), version, &headers)
    }

    #[test]
    fn a_server_too_old_for_a_header_is_refused_with_both_versions_and_the_remedy() {
        let Err(TargetError::Environment { message }) = checked("2.9.10", &["nats-ttl", "Nats-Batch-Id"]) else {
            panic!("it was taken")
        };
        for part in
            ["atomic batches", "`Nats-Batch-Id`", "2.12", "2.9.10", "host:4222", "private server", "--target bus="]
        {
            assert!(message.contains(part), "`{part}` is not in: {message}");
        }
        assert_eq!(checked("2.12.0", &["nats-ttl", "Nats-Batch-Id"]), Ok(Vec::new()));
        assert_eq!(checked("2.9.10", &["Nats-Msg-Id"]), Ok(Vec::new()));
        assert_eq!(checked("main", &["Nats-TTL"]).unwrap().len(), 1);
    }

    #[test]
    fn a_stream_allows_what_its_messages_need() {
        let settings = |names: &[&str]| {
            let headers = names.iter().map(|name| known(name).unwrap()).collect();
            stream_settings(&headers).into_iter().collect::<Vec<_>>()
        };
        assert_eq!(settings(&["Nats-Msg-Id"]), [""; 0]);
        assert_eq!(settings(&["nats-rollup"]), ["allow_rollup_hdrs"]);
        assert_eq!(settings(&["Nats-Batch-Id", "Nats-Batch-Commit"]), ["allow_atomic"]);
        assert_eq!(settings(&["Nats-Schedule-TTL"]), ["allow_msg_schedules", "allow_msg_ttl"]);
    }
}
