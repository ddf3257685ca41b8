//! Every secret that a test has used, so that the last test can look for them in the logs.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;

static PLANTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Remembers a secret. Short texts are no secrets: they would be found by chance.
pub fn plant(secret: &str) {
    if secret.len() >= HEAD {
        PLANTED.lock().unwrap().insert(secret.to_owned());
    }
}

/// Where a secret is looked for: thousands of them in megabytes of logs would take minutes one by
/// one.
const HEAD: usize = 16;

/// All of them, by how they begin.
pub struct Planted(HashMap<Vec<u8>, Vec<String>>);

impl Planted {
    pub fn all() -> Self {
        let mut by_head: HashMap<Vec<u8>, Vec<String>> = HashMap::new();
        for secret in PLANTED.lock().unwrap().iter() {
            by_head.entry(secret.as_bytes()[..HEAD].to_vec()).or_default().push(secret.clone());
        }
        Self(by_head)
    }

    pub fn len(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// The first of them that stands in a text.
    pub fn found_in(&self, text: &[u8]) -> Option<&str> {
        text.windows(HEAD).enumerate().find_map(|(at, head)| {
            let secrets = self.0.get(head)?;
            let here = |secret: &&String| text[at..].starts_with(secret.as_bytes());
            secrets.iter().find(here).map(String::as_str)
        })
    }
}
