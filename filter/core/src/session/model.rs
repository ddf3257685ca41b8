//! The content of a session, its time limits and its binary form.

use crate::config;
use crate::foundation::codec::{Reader, Writer};
use crate::foundation::id::{Id, SessionId};
use crate::foundation::secret::Secret;
use crate::foundation::time::UnixTime;
use crate::identity::role::Role;

/// A person's session. It holds neither the access token nor the ID token.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// The session's identifier, new at every login against session fixation (docs/threats.md
    /// T-S4).
    pub(crate) id: SessionId,
    /// The claim `sub` of the ID token.
    pub(crate) subject: String,
    /// The account name that is shown to people.
    pub(crate) name: String,
    /// The e-mail address, if the provider says that it is verified.
    pub(crate) email: Option<String>,
    /// The role at the provider's last confirmation.
    pub(crate) role: Option<Role>,
    /// The claim `sid`, which identifies the provider's session.
    pub(crate) sid: Option<String>,
    /// The claim `auth_time` in seconds, which a refresh must not change (OpenID Connect Core
    /// §12.2).
    pub(crate) auth_time: Option<u64>,
    /// Time of the login.
    pub(crate) started: UnixTime,
    /// Time of the last use that the cookie records.
    pub(crate) used: UnixTime,
    /// Time at which the provider last confirmed the session.
    pub(crate) checked: UnixTime,
    /// The refresh token with which the provider is asked to confirm the session.
    pub(crate) refresh_token: Option<Secret>,
}

/// Version of the binary form, its first byte.
const VERSION: u8 = 1;

impl Session {
    /// Returns why the session has ended, or `None` while it is valid.
    #[must_use]
    pub(crate) fn ended(
        &self,
        now: UnixTime,
        limits: &config::SessionSettings,
    ) -> Option<&'static str> {
        if limits.not_before.is_some_and(|limit| self.started < limit) {
            return Some("issued before session.not_before");
        }
        if now.is_over(self.started, limits.absolute) {
            return Some("older than session.absolute");
        }
        if now.is_over(self.used, limits.idle) {
            return Some("unused for session.idle");
        }
        None
    }

    /// Returns whether the provider must confirm the session before it is accepted again.
    #[must_use]
    pub(crate) fn is_due(&self, now: UnixTime, limits: &config::SessionSettings) -> bool {
        now.is_over(self.checked, limits.recheck)
    }

    /// Returns whether the session is still accepted while the provider is unreachable.
    #[must_use]
    pub(crate) fn is_in_grace(&self, now: UnixTime, limits: &config::SessionSettings) -> bool {
        !now.is_over(self.checked, limits.recheck.saturating_add(limits.grace))
    }

    /// Returns whether the time of last use in the cookie is so old that the cookie must be
    /// renewed.
    #[must_use]
    pub(crate) fn wants_renewal(&self, now: UnixTime, limits: &config::SessionSettings) -> bool {
        now.since(self.used) >= limits.recheck.min(limits.idle.checked_div(4).unwrap_or_default())
    }

    /// Returns the binary form.
    #[must_use]
    pub(crate) fn encode(&self) -> Vec<u8> {
        let refresh_token = self.refresh_token.as_ref().map(Secret::expose_str);
        Writer::default()
            .raw(&[VERSION])
            .raw(&self.id.bytes())
            .number(self.started.millis())
            .number(self.used.millis())
            .number(self.checked.millis())
            .number(self.auth_time.unwrap_or(0))
            .bytes(self.subject.as_bytes())
            .bytes(self.name.as_bytes())
            .optional(self.email.as_deref())
            .optional(self.role.map(Role::name))
            .optional(self.sid.as_deref())
            .optional(refresh_token)
            .finish()
    }

    /// Reads the binary form. Returns `None` for anything that [`Self::encode`] did not write.
    #[must_use]
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Reader::new(bytes);
        if fields.raw()? != [VERSION] {
            return None;
        }
        let id = SessionId::from_bytes(fields.raw()?);
        let started = UnixTime::from_millis(fields.number()?);
        let used = UnixTime::from_millis(fields.number()?);
        let checked = UnixTime::from_millis(fields.number()?);
        let auth_time = Some(fields.number()?).filter(|time| *time != 0);
        let (subject, name) = (fields.text()?, fields.text()?);
        let email = fields.optional()?;
        let role = match fields.optional()? {
            Some(name) => Some(Role::named(&name)?),
            None => None,
        };
        let sid = fields.optional()?;
        let refresh_token = fields.optional()?.map(Secret::new);
        let session = Self {
            id,
            subject,
            name,
            email,
            role,
            sid,
            auth_time,
            started,
            used,
            checked,
            refresh_token,
        };
        fields.is_done().then_some(session)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use core::time::Duration;

    use super::*;

    fn session() -> Session {
        Session {
            id: SessionId::from_bytes([7; 16]),
            subject: "s".into(),
            name: "Zoë".into(),
            email: None,
            role: Some(Role::Operator),
            sid: Some("sid".into()),
            auth_time: Some(5),
            started: UnixTime::from_secs(1000),
            used: UnixTime::from_secs(2000),
            checked: UnixTime::from_secs(1900),
            refresh_token: Some(Secret::new("r")),
        }
    }

    fn limits() -> config::SessionSettings {
        config::SessionSettings {
            idle: Duration::from_secs(1800),
            absolute: Duration::from_secs(36000),
            recheck: Duration::from_secs(300),
            grace: Duration::from_secs(3600),
            not_before: None,
        }
    }

    #[test]
    fn what_is_encoded_decodes_and_nothing_else_does() {
        let bytes = session().encode();
        let back = Session::decode(&bytes).unwrap();
        assert_eq!(back.encode(), bytes);
        assert_eq!((back.name.as_str(), back.role), ("Zoë", Some(Role::Operator)));
        for length in 0..bytes.len() {
            assert!(Session::decode(&bytes[..length]).is_none(), "cut at {length}");
        }
        assert!(Session::decode(&[bytes.as_slice(), &[0]].concat()).is_none(), "a byte too many");
    }

    #[test]
    fn limits_are_exact_at_their_edges() {
        let (s, l) = (session(), limits());
        let at = UnixTime::from_millis;
        assert_eq!(s.ended(at(3_799_999), &l), None);
        assert!(s.ended(at(3_800_000), &l).unwrap().contains("idle"));
        let fresh = Session { used: at(36_900_000), ..session() };
        assert_eq!(fresh.ended(at(36_999_999), &l), None);
        assert!(fresh.ended(at(37_000_000), &l).unwrap().contains("absolute"));
        assert!(!s.is_due(at(2_199_999), &l) && s.is_due(at(2_200_000), &l));
        assert!(s.is_in_grace(at(5_799_999), &l) && !s.is_in_grace(at(5_800_000), &l));
        let voided = config::SessionSettings { not_before: Some(at(1_000_001)), ..limits() };
        assert!(s.ended(at(2_000_000), &voided).is_some());
        let kept = config::SessionSettings { not_before: Some(at(1_000_000)), ..limits() };
        assert!(s.ended(at(2_000_000), &kept).is_none());
    }
}
