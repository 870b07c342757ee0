//! Lists of refs as they are kept, compressed, for whoever asks for the same of a repository that has not changed.
//!
//! To compress a long list costs more than to make it. So who asks for one first gets it as it is; only for one that is
//! asked for again it is done, once, and all who come later get the same bytes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyper::body::Bytes;

use super::body::Headers;
use super::cache::Key;
use crate::server::Watch;

/// Bytes of one list, compressed; what is longer is not kept.
const LIST_LEN_MAX: usize = 8 << 20;
/// Bytes of all lists.
const LISTS_LEN_MAX: usize = 32 << 20;
/// Lists that are known, kept or not.
const LISTS_MAX: usize = 4096;
/// How long one is kept, so that those of states that are over make room.
const AGE_MAX: Duration = Duration::from_secs(10);

/// The lists, the same for all connections.
#[derive(Debug, Default)]
pub(super) struct Lists(Mutex<HashMap<Key, Entry>>);

#[derive(Debug)]
struct Entry {
    begun: Instant,
    list: Option<Arc<List>>,
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct List {
    pub headers: Headers,
    pub body: Bytes,
    /// What was heard of the request that it was made for.
    pub watch: Arc<Watch>,
}

/// What is known of a list.
#[derive(Debug)]
pub(super) enum Known {
    /// Nobody has asked for it.
    New,
    /// It was asked for, and is worth keeping.
    Asked,
    /// It is kept.
    Kept(Arc<List>),
}

impl Lists {
    /// What is known of the list that is called `key`, which is asked for now.
    pub(super) fn ask(&self, key: Key) -> Known {
        let mut entries = self.lock();
        entries.retain(|_, entry| entry.begun.elapsed() < AGE_MAX);
        match entries.get(&key) {
            Some(Entry { list: Some(list), .. }) => Known::Kept(Arc::clone(list)),
            Some(Entry { list: None, .. }) => Known::Asked,
            None => {
                if entries.len() < LISTS_MAX {
                    entries.insert(key, Entry { begun: Instant::now(), list: None });
                }
                Known::New
            }
        }
    }

    /// Keeps `list` for those who ask for `key`, unless that takes more room than there is.
    fn keep(&self, key: Key, list: List) {
        let mut entries = self.lock();
        let kept = entries.values().filter_map(|entry| entry.list.as_ref());
        let length: usize = kept.map(|list| list.body.len()).sum();
        if length.saturating_add(list.body.len()) > LISTS_LEN_MAX {
            return;
        }
        if let Some(entry) = entries.get_mut(&key) {
            entry.list = Some(Arc::new(list));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A list that is kept while it goes out.
#[derive(Debug)]
pub(super) struct Copying {
    lists: Arc<Lists>,
    key: Key,
    headers: Headers,
    body: Vec<u8>,
}

impl Copying {
    pub(super) fn new(lists: &Arc<Lists>, key: Key) -> Self {
        Self { lists: Arc::clone(lists), key, headers: Headers::new(), body: Vec::new() }
    }

    pub(super) fn begin(&mut self, headers: &Headers) {
        self.headers.clone_from(headers);
    }

    /// Adds a piece; whether the list is still worth keeping.
    pub(super) fn add(&mut self, piece: &[u8]) -> bool {
        self.body.extend_from_slice(piece);
        self.body.len() <= LIST_LEN_MAX
    }

    /// It is whole. An answer that is none, such as an error, is not kept.
    pub(super) fn end(self, watch: &Arc<Watch>) {
        if self.headers.iter().all(|(name, _)| name != "Status") {
            let Self { lists, key, headers, body } = self;
            lists.keep(key, List { headers, body: body.into(), watch: Arc::clone(watch) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(lists: &Arc<Lists>, key: Key, length: usize, headers: &[(&str, &str)]) -> bool {
        let mut copying = Copying::new(lists, key);
        copying.begin(&headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect());
        copying.add(&vec![0; length]) && {
            copying.end(&Arc::default());
            matches!(lists.ask(key), Known::Kept(list) if list.body.len() == length)
        }
    }

    #[test]
    fn what_is_asked_for_again_is_kept() {
        let lists = Arc::new(Lists::default());
        assert!(matches!(lists.ask([0; 32]), Known::New));
        assert!(matches!(lists.ask([0; 32]), Known::Asked));
        assert!(made(&lists, [0; 32], 9, &[("Content-Type", "x")]));
        assert!(matches!(lists.ask([1; 32]), Known::New));
    }

    #[test]
    fn errors_and_what_takes_too_much_are_not_kept() {
        let lists = Arc::new(Lists::default());
        let mut kept = 0;
        for number in 0..8 {
            lists.ask([number; 32]);
            kept += usize::from(made(&lists, [number; 32], LIST_LEN_MAX, &[]));
        }
        assert_eq!(kept, LISTS_LEN_MAX / LIST_LEN_MAX);
        lists.ask([8; 32]);
        assert!(!made(&lists, [8; 32], 9, &[("Status", "404 Not Found")]));
        assert!(!made(&lists, [8; 32], LIST_LEN_MAX + 1, &[]));
    }
}
