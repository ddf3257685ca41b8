//! Every secret that a test has used, so that the last test can look for them in the logs.

use std::collections::BTreeSet;
use std::sync::Mutex;

static PLANTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Remembers a secret. Short texts are no secrets: they would be found by chance.
pub fn plant(secret: &str) {
    if secret.len() >= 16 {
        PLANTED.lock().unwrap().insert(secret.to_owned());
    }
}

/// All of them.
pub fn planted() -> Vec<String> {
    PLANTED.lock().unwrap().iter().cloned().collect()
}
