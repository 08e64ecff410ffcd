//! What an instance remembers of the latest versions it has seen.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use super::connection::Head;

/// The latest known head per actor. It may be behind the server, never ahead of it.
#[derive(Debug, Default)]
pub(super) struct VersionCache {
    heads: Mutex<BTreeMap<String, Head>>,
}

impl VersionCache {
    pub(super) fn get(&self, actor: &str) -> Option<Head> {
        self.heads().get(actor).copied()
    }

    /// Remembers a head, unless a later one is known: a slow reader may come after a fast writer.
    pub(super) fn insert(&self, actor: &str, head: Head) {
        let mut heads = self.heads();
        match heads.get_mut(actor) {
            Some(known) if known.version >= head.version => {}
            Some(known) => *known = head,
            None => {
                heads.insert(actor.to_owned(), head);
            }
        }
    }

    pub(super) fn remove(&self, actor: &str) {
        self.heads().remove(actor);
    }

    fn heads(&self) -> MutexGuard<'_, BTreeMap<String, Head>> {
        self.heads.lock().expect("nothing panics while it holds the heads")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_head_does_not_replace_a_newer_one() {
        let cache = VersionCache::default();
        let (older, newer) = (Head { version: 2, position: 2 }, Head { version: 3, position: 5 });
        cache.insert("a", newer);
        cache.insert("a", older);
        assert_eq!(cache.get("a"), Some(newer));
        assert_eq!(cache.get("b"), None);
        cache.remove("a");
        assert_eq!(cache.get("a"), None);
    }
}
