//! The event of a decision: what metrics count and what the access log shows.

use crate::identity::personal_token::PersonalToken;
use crate::identity::principal::Method;
use crate::identity::role::Role;
use crate::policy::authorize::Permit;
use crate::refusal::Refusal;
use crate::telemetry::metrics::Metric;

const FORWARDED: &str = "forwarded";

/// One decided request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `forwarded`, `reported` (forwarded, though a role is missing), `refused` or `answered`.
    pub(crate) outcome: &'static str,
    /// How the principal was proved.
    pub(crate) method: &'static str,
    /// The refusal's code, or what was answered; `ok` for what is forwarded.
    pub(crate) reason: &'static str,
    /// Who, `-` when nobody is proved.
    pub(crate) principal: String,
    /// Role, `-` when there is none.
    pub(crate) role: &'static str,
    /// A line for the operator: refusals have one.
    pub line: Option<String>,
}

impl Event {
    /// A forwarded request.
    #[must_use]
    pub(crate) fn forwarded(permit: &Permit) -> Self {
        let identity = permit.identity();
        let role = identity.and_then(|(_, role)| role).map_or("-", Role::name);
        if let Some(refusal) = permit.reported() {
            return Self { role, ..Self::reported(refusal) };
        }
        Self {
            outcome: FORWARDED,
            method: permit.method().label(),
            reason: "ok",
            principal: identity
                .map_or_else(|| "-".to_owned(), |(p, _)| crate::foundation::log_text::shown(&p.id)),
            role,
            line: None,
        }
    }

    /// A request that goes on although its role is missing: roles are only reported.
    #[must_use]
    pub(crate) fn reported(refusal: &Refusal) -> Self {
        Self::of("reported", refusal)
    }

    /// A refused request.
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
            role: "-",
            line: Some(line),
        }
    }

    /// With the request's id in the line.
    #[must_use]
    pub(crate) fn with_request(mut self, id: Option<&str>) -> Self {
        if let (Some(line), Some(id)) = (&mut self.line, id) {
            line.push_str(" request=");
            line.push_str(id);
        }
        self
    }

    /// An answer of our own that is no refusal.
    #[must_use]
    pub(crate) fn answered(code: &'static str) -> Self {
        Self {
            outcome: "answered",
            method: Method::Anonymous.label(),
            reason: code,
            principal: "-".to_owned(),
            role: "-",
            line: None,
        }
    }

    /// That it was for the person of a token.
    #[must_use]
    pub(crate) fn about(mut self, token: &PersonalToken) -> Self {
        self.principal = crate::foundation::log_text::shown(&format!("user:{}", token.subject));
        self.role = token.role.name();
        self.method = Method::Session.label();
        self
    }

    /// What the access log shows, under Envoy's filter state. That a forwarded request has no reason
    /// is left out: each field costs a call of the host's.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let reason = Some(self.reason).filter(|_| self.outcome != FORWARDED);
        [
            ("lictor.decision", Some(self.outcome)),
            ("lictor.reason", reason),
            ("lictor.method", Some(self.method)),
            ("lictor.principal", Some(self.principal.as_str())),
            ("lictor.role", Some(self.role)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }

    /// The counter that it adds one to.
    #[must_use]
    pub const fn metric(&self) -> Metric {
        Metric::Requests { outcome: self.outcome, method: self.method, reason: self.reason }
    }
}

/// Quotes inside a quoted field of a log line.
fn field(text: &str) -> String {
    text.replace(['"', '\\'], "'")
}
