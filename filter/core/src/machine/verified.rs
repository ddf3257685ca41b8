//! Access tokens that have been verified: the same bytes need not be verified again while the keys
//! that verified them stand. Compared whole, bounded in number and bytes, the oldest go first.

use std::collections::{HashMap, VecDeque};

use core::time::Duration;

use crate::keys::Keys;
use crate::limits::{LEEWAY, VERIFIED_BYTES, VERIFIED_TOKENS};
use crate::policy::principal::Identity;
use crate::time::UnixTime;

/// See the module.
#[derive(Default)]
pub struct Verified {
    /// By the tokens' ends, which are the ends of their signatures: nobody chooses those, and a whole
    /// token would have to be hashed at each look.
    entries: HashMap<End, (Vec<u8>, Entry)>,
    order: VecDeque<End>,
    bytes: usize,
}

type End = [u8; 16];

/// What was found out about a token.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Whom it proves.
    pub identity: Identity,
    /// Place of its issuer in the configuration.
    pub issuer: usize,
    /// Which set of keys verified it.
    pub keys: u64,
    /// Not before (the later of `nbf` and `iat`): a clock that goes back gives nothing back.
    pub from: UnixTime,
}

impl Verified {
    /// The identity that a token proves, if it was verified by the keys that stand now and is in
    /// time.
    #[must_use]
    pub fn find(&self, token: &[u8], keys: &Keys, now: UnixTime) -> Option<Identity> {
        let (_, entry) = self.entries.get(&end_of(token)?).filter(|(known, _)| known == token)?;
        let in_time = entry.identity.until.is_some_and(|until| now < until)
            && entry.from <= now.plus(Duration::from_secs(LEEWAY));
        let trusted = keys.generation(entry.issuer, now) == Some(entry.keys);
        (in_time && trusted).then(|| entry.identity.clone())
    }

    /// Keeps what was found out.
    pub fn keep(&mut self, token: &[u8], entry: Entry) {
        let Some(end) = end_of(token) else { return };
        self.bytes = self.bytes.saturating_add(token.len());
        match self.entries.insert(end, (token.to_vec(), entry)) {
            Some((earlier, _)) => self.bytes = self.bytes.saturating_sub(earlier.len()),
            None => self.order.push_back(end),
        }
        while self.order.len() > VERIFIED_TOKENS || self.bytes > VERIFIED_BYTES {
            let Some(oldest) = self.order.pop_front() else { return };
            if let Some((token, _)) = self.entries.remove(&oldest) {
                self.bytes = self.bytes.saturating_sub(token.len());
            }
        }
    }
}

fn end_of(token: &[u8]) -> Option<End> {
    token.last_chunk().copied()
}
