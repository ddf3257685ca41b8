//! Events: the records of decisions that metrics, the access log and the log lines show.

use crate::identity::personal_token::PersonalToken;
use crate::identity::principal::{Identity, Method};
use crate::identity::role::Role;
use crate::policy::authorize::Permit;
use crate::refusal::Refusal;
use crate::telemetry::metrics::Metric;

const FORWARDED: &str = "forwarded";

/// The decision about one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `forwarded`, `reported` (forwarded although a role is missing), `refused` or `answered`.
    pub(crate) outcome: &'static str,
    /// Label of the authentication method, see [`Method::label`].
    pub(crate) method: &'static str,
    /// Code of the refusal or of the local answer; `ok` for a forwarded request.
    pub(crate) reason: &'static str,
    /// Identifier of the principal, or `-` without an authenticated one.
    pub(crate) principal: String,
    /// Name of the role, or `-` without one.
    pub(crate) role: &'static str,
    /// The log line for the operator, which refused and reported requests have.
    pub line: Option<String>,
    /// Whether the access log leaves the request out, too.
    left_out: bool,
}

impl Event {
    /// Creates the event of a forwarded request, which may be reported because of its role.
    #[must_use]
    pub(crate) fn forwarded(permit: &Permit) -> Self {
        let identity = permit.identity();
        if let Some(refusal) = permit.reported() {
            return Self::reported(refusal);
        }
        Self {
            outcome: FORWARDED,
            method: permit.method().label(),
            reason: "ok",
            principal: identity
                .map_or_else(|| "-".to_owned(), |(p, _)| crate::foundation::log_text::shown(&p.id)),
            role: identity.and_then(|(_, role)| role).map_or("-", Role::name),
            line: None,
            left_out: false,
        }
    }

    /// Creates the event of a request that is forwarded although a role is missing.
    ///
    /// This happens with `roles.report_only`.
    #[must_use]
    pub(crate) fn reported(refusal: &Refusal) -> Self {
        Self::of("reported", refusal)
    }

    /// Creates the event of a refused request.
    #[must_use]
    pub(crate) fn refused(refusal: &Refusal) -> Self {
        Self::of("refused", refusal)
    }

    fn of(outcome: &'static str, refusal: &Refusal) -> Self {
        let principal = refusal.principal.as_deref();
        let id =
            principal.map_or_else(|| "-".to_owned(), |p| crate::foundation::log_text::shown(&p.id));
        let code = refusal.reason.meaning().code;
        let line = format!(
            "{outcome} reason={code} principal=\"{}\" seen=\"{}\" wanted=\"{}\"",
            field(&id),
            field(&refusal.seen),
            field(&refusal.wanted)
        );
        Self {
            outcome,
            method: principal.map_or(Method::Anonymous, |p| p.method).label(),
            reason: code,
            principal: id,
            role: refusal.role.map_or("-", Role::name),
            line: Some(line),
            left_out: false,
        }
    }

    /// Returns whether no credential has proved who sent the request.
    #[must_use]
    pub(crate) fn is_about_a_stranger(&self) -> bool {
        self.principal == "-"
    }

    /// Leaves the request out of the log and of the access log.
    #[must_use]
    pub(crate) fn leave_out(self) -> Self {
        Self { line: None, left_out: true, ..self }
    }

    /// Appends to the log line the host that a stranger asked for, and the request ID.
    #[must_use]
    pub(crate) fn with_ends(mut self, host: Option<&str>, id: Option<&str>) -> Self {
        let is_about_a_stranger = self.is_about_a_stranger();
        if let Some(line) = &mut self.line {
            if let Some(host) = host.filter(|_| is_about_a_stranger) {
                let host = crate::foundation::log_text::shown(host);
                line.push_str(&format!(" host=\"{}\"", field(&host)));
            }
            if let Some(id) = id {
                line.push_str(" request=");
                line.push_str(id);
            }
        }
        self
    }

    /// Creates the event of a local answer that is not a refusal.
    #[must_use]
    pub(crate) fn answered(code: &'static str) -> Self {
        Self {
            outcome: "answered",
            method: Method::Anonymous.label(),
            reason: code,
            principal: "-".to_owned(),
            role: "-",
            line: None,
            left_out: false,
        }
    }

    /// Sets the principal and the role to those of an identity that gets a local answer.
    #[must_use]
    pub(crate) fn to(mut self, identity: &Identity) -> Self {
        self.principal = crate::foundation::log_text::shown(&identity.principal.id);
        self.role = identity.role.map_or("-", Role::name);
        self.method = identity.principal.method.label();
        self
    }

    /// Sets the principal to the person whose session the provider has ended.
    #[must_use]
    pub(crate) fn about_subject(mut self, subject: Option<&str>) -> Self {
        let id = subject.map_or_else(|| "provider".to_owned(), |subject| format!("user:{subject}"));
        self.principal = crate::foundation::log_text::shown(&id);
        self
    }

    /// Sets the principal and the role to those of a personal token, and how its owner proved them.
    #[must_use]
    pub(crate) fn about(mut self, token: &PersonalToken, method: Method) -> Self {
        self.principal = crate::foundation::log_text::shown(&format!("user:{}", token.subject));
        self.role = token.role.name();
        self.method = method.label();
        self
    }

    /// Returns the names and values that the access log shows, for Envoy's filter state.
    ///
    /// Each field costs a host call, so a forwarded request has no field for its reason `ok`. A
    /// request that the access log leaves out has none. The filter of the access log looks for
    /// `lictor.decision`.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let reason = Some(self.reason).filter(|_| self.outcome != FORWARDED);
        let entry = [
            ("lictor.decision", Some(self.outcome)),
            ("lictor.reason", reason),
            ("lictor.method", Some(self.method)),
            ("lictor.principal", Some(self.principal.as_str())),
            ("lictor.role", Some(self.role)),
        ];
        let entry = entry.into_iter().filter_map(|(name, value)| Some((name, value?)));
        entry.filter(|_| !self.left_out)
    }

    /// Returns the counter that the event increments by one.
    #[must_use]
    pub const fn metric(&self) -> Metric {
        Metric::Requests { outcome: self.outcome, method: self.method, reason: self.reason }
    }
}

/// Replaces quotes and backslashes, which must not end a quoted field of a log line.
fn field(text: &str) -> String {
    text.replace(['"', '\\'], "'")
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::refusal::Reason;

    /// The access log of each sample shows every field. A decision that is `refused` has them all.
    #[test]
    fn the_samples_log_every_field() {
        let event = Event::refused(&Refusal::new(Reason::NoCredential));
        let mut wanted: Vec<String> =
            event.fields().map(|(name, _)| format!("%FILTER_STATE(wasm.{name}:PLAIN)%")).collect();
        wanted.sort();
        for sample in crate::testing::SAMPLES {
            let lines = sample.lines().filter_map(|line| line.trim().split_once(": \""));
            let mut logged: Vec<String> = lines
                .filter(|(_, value)| value.starts_with("%FILTER_STATE(wasm.lictor."))
                .map(|(_, value)| value.trim_end_matches('"').to_owned())
                .collect();
            logged.sort();
            assert_eq!(logged, wanted);
        }
    }
}
