//! Verification of passwords by the worker itself, and how much of its time guesses may take.
//!
//! A bcrypt hash is slow on purpose, and nothing else happens in the worker meanwhile. So a worker
//! verifies a password once, and remembers the result under a keyed hash. Unknown passwords are
//! limited by user and network, and by their rounds: those of one network, and all together.

use std::collections::HashMap;

use super::attempt_limits::AttemptLimits;
use crate::config::Machines;
use crate::credential::password;
use crate::foundation::bounded::Bounded;
use crate::foundation::crypto::{Key, constant_time_eq, derive, mac};
use crate::foundation::id::{CredentialId, Id as _, TombstoneId};
use crate::foundation::limits::{
    NETWORKS, PASSWORD_ROUNDS, PASSWORD_ROUNDS_PER_NETWORK, WRONG_PASSWORD_MEMORY, WRONG_PASSWORDS,
};
use crate::foundation::password_hash::LONGEST;
use crate::foundation::secret::Secret;
use crate::foundation::time::UnixTime;
use crate::foundation::token_bucket::Bucket;
use crate::identity::principal::Identity;
use crate::refusal::Refusal;
use crate::wire::network::network;
use crate::wire::peer::Peer;
use crate::workers::tombstones::tombstone_of;

/// What one worker knows of passwords, under one configuration.
pub(crate) struct Passwords {
    key: Key,
    /// The keyed hash of each user's password, once it has been verified.
    right: HashMap<String, [u8; 32]>,
    /// The refusal of a name and password that were wrong, by a part of their keyed hash, and when.
    wrong: Bounded<CredentialId, (Refusal, UnixTime)>,
    attempts: AttemptLimits,
    rounds: Bucket,
    rounds_by_network: Bounded<TombstoneId, Bucket>,
}

impl Passwords {
    /// Knows no password yet. `master` is the key of the configuration.
    #[must_use]
    pub(crate) fn new(master: &Key) -> Self {
        Self {
            key: derive(master, "verified passwords"),
            right: HashMap::new(),
            wrong: Bounded::new(WRONG_PASSWORDS),
            attempts: AttemptLimits::default(),
            rounds: PASSWORD_ROUNDS.full(UnixTime::default()),
            rounds_by_network: Bounded::new(NETWORKS),
        }
    }

    /// Verifies the password of a user.
    ///
    /// # Errors
    /// When it is wrong or has expired, which look the same, or when too many unknown ones have
    /// been tried.
    pub(crate) fn verify(
        &mut self,
        user: &str,
        password: &Secret,
        machines: &Machines,
        peer: &dyn Peer,
        now: UnixTime,
    ) -> Result<Identity, Refusal> {
        let entry = machines.htpasswd.get(user);
        let code = mac(&self.key, user, password.expose());
        let is_right = self.right.get(user).is_some_and(|right| constant_time_eq(right, &code));
        if let Some(identity) = entry.filter(|_| is_right).and_then(|e| password::identity(e, now))
        {
            return Ok(identity);
        }
        let id = CredentialId::from_bytes(code.first_chunk().copied().unwrap_or_default());
        if let Some((refusal, at)) = self.wrong.get(&id)
            && !now.is_over(*at, WRONG_PASSWORD_MEMORY)
        {
            return Err(refusal.clone());
        }
        // Whatever the name, a refusal takes as long as the check of the slowest entry.
        let hashes = machines.htpasswd.values().map(|entry| &entry.hash);
        let slowest = hashes.max_by_key(|hash| hash.rounds());
        let Some(slowest) = slowest.filter(|_| password.expose().len() <= LONGEST) else {
            return Err(password::wrong(entry));
        };
        if !self.may_check(user, slowest.rounds(), &peer.address(), now) {
            return Err(Refusal::busy("unknown passwords"));
        }
        // Without an entry, the check is that of the slowest one.
        let hash = entry.map_or(slowest, |entry| &entry.hash);
        let fits = hash.fits(password.expose());
        let refusal = match entry {
            Some(entry) if fits => match password::identity(entry, now) {
                Some(identity) => {
                    self.right.insert(user.to_owned(), code);
                    return Ok(identity);
                }
                None => password::expired(user),
            },
            _ => password::wrong(entry),
        };
        hash.pad(slowest);
        self.wrong.insert(id, (refusal.clone(), now));
        Err(refusal)
    }

    /// Takes the rounds of one check. Where there is no room, nobody loses an attempt.
    fn may_check(&mut self, user: &str, rounds: u32, address: &[u8], now: UnixTime) -> bool {
        let id = tombstone_of(&network(address));
        let known = self.rounds_by_network.get(&id).copied();
        let own = known.unwrap_or_else(|| PASSWORD_ROUNDS_PER_NETWORK.full(now));
        let mut own = PASSWORD_ROUNDS_PER_NETWORK.filled_up(own, now);
        let mut all = PASSWORD_ROUNDS.filled_up(self.rounds, now);
        let left = own.left.checked_sub(rounds).zip(all.left.checked_sub(rounds));
        let Some(left) = left.filter(|_| self.attempts.may(Some(user), address, now)) else {
            return false;
        };
        (own.left, all.left) = left;
        self.rounds_by_network.insert(id, own);
        self.rounds = all;
        true
    }
}
