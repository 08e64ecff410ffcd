//! Where servers are, by the environment.

use std::collections::BTreeMap;
use std::path::Path;

use crate::run::endpoints::Sources;
use crate::server::find::SearchPath;

/// The servers that the caller named by target, and those that the environment names.
pub(crate) fn from_environment(given: BTreeMap<String, String>, allow_remote: bool) -> Sources {
    let root = variable("DEADHEAT_SERVER_ROOT").unwrap_or_else(|| "/".to_owned());
    Sources {
        given,
        variable,
        compose: variable("DEADHEAT_NO_COMPOSE").is_none(),
        search: SearchPath::below(Path::new(&root), std::env::var_os("PATH").as_deref()),
        allow_remote,
    }
}

/// The value of an environment variable, if it is set and not empty.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
