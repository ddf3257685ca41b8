//! Every refusal: whose fault, which status, what the client is told, how logs and metrics call
//! it. One table; nothing else chooses a status.

use std::rc::Rc;

use crate::foundation::log_text::shown;
use crate::identity::principal::Principal;

/// Why a request is not forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    // The request.
    /// A target that reads in two ways.
    AmbiguousTarget,
    /// A method that Prefect does not have.
    Method,
    /// An `Upgrade` other than a websocket, or not as Envoy would take it.
    Upgrade,
    /// A host that is not configured.
    Host,
    /// More cookies than Lictor reads.
    CookiesTooLarge,
    /// More than one credential.
    SeveralCredentials,
    /// A page of another origin asks (CSRF).
    CrossSite,
    /// A CORS preflight.
    Preflight,
    /// No such endpoint.
    NotFound,
    /// An endpoint that the settings leave off.
    NotEnabled,
    // The credential.
    /// None was shown.
    NoCredential,
    /// Neither Bearer nor Basic, or not of its form.
    MalformedCredential,
    /// A token that does not verify.
    InvalidToken,
    /// Signed with a key that the issuer does not publish.
    UnknownKey,
    /// No such API key.
    UnknownApiKey,
    /// An API key that is over.
    ExpiredApiKey,
    /// A kind of credential that the configuration does not accept.
    CredentialNotAccepted,
    /// The provider does not accept a client's credentials.
    ClientCredentials,
    /// A personal token that counts no more, or never did.
    PersonalToken,
    /// A terminal's request for a personal token that is not of its form.
    TokenRequest,
    /// A code for a personal token that is used, late, or somebody else's.
    TokenCode,
    /// The session is over.
    SessionEnded,
    /// Sockets are not opened by cookie.
    SocketByCookie,
    /// A first frame without a credential.
    FirstFrame,
    /// A body that must be judged and is too large for that.
    BodyTooLarge,
    // The right.
    /// A person without any role.
    NoRole,
    /// Another role is needed.
    RoleMissing,
    /// Only a part of the answer is for the role.
    Masked,
    // The login.
    /// A callback that belongs to no attempt of this browser.
    UnknownAttempt,
    /// A callback that is malformed.
    Callback,
    /// A logout token that does not verify.
    LogoutToken,
    /// Logins of this browser fail again and again.
    LoginLoop,
    /// The provider refused the login.
    ProviderRefused,
    /// The provider's answer does not verify.
    ProviderAnswer,
    /// A session that would not fit a cookie.
    SessionTooLarge,
    // Ours.
    /// The provider can't be reached.
    ProviderUnreachable,
    /// No keys or endpoints yet.
    NotReady,
    /// A bound on waiting work is reached.
    Busy,
    /// A fault inside.
    Internal,
    /// Prefect refuses the shared secret.
    PrefectSecret,
}

/// What a reason means to each reader.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meaning {
    /// HTTP status.
    pub(crate) status: u16,
    /// Stable name in answers, logs and metrics.
    pub(crate) code: &'static str,
    /// The sentence that the client is shown: nothing of the request is in it.
    pub(crate) text: &'static str,
    /// `error` of the `Bearer` challenge (RFC 6750 §3.1), where one is due.
    pub(crate) challenge: Option<&'static str>,
    /// `Retry-After` in seconds.
    pub(crate) retry_after: Option<u32>,
}

impl Reason {
    /// The table.
    #[must_use]
    pub(crate) const fn meaning(self) -> Meaning {
        const fn plain(status: u16, code: &'static str, text: &'static str) -> Meaning {
            Meaning { status, code, text, challenge: None, retry_after: None }
        }
        const fn later(status: u16, code: &'static str, text: &'static str, secs: u32) -> Meaning {
            Meaning { status, code, text, challenge: None, retry_after: Some(secs) }
        }
        const fn token(code: &'static str, text: &'static str) -> Meaning {
            Meaning { status: 401, code, text, challenge: Some("invalid_token"), retry_after: None }
        }
        match self {
            Self::AmbiguousTarget => {
                plain(400, "ambiguous_target", "The address can be read in more than one way.")
            }
            Self::Method => plain(405, "method_not_allowed", "This method is not allowed here."),
            Self::Upgrade => plain(400, "bad_upgrade", "Only websocket upgrades are possible."),
            Self::Host => plain(421, "unknown_host", "This host name is not served here."),
            Self::CookiesTooLarge => plain(
                431,
                "cookies_too_large",
                "The cookies of this site are too large. Delete them and try again.",
            ),
            Self::SeveralCredentials => {
                plain(400, "several_credentials", "Send one credential, not several.")
            }
            Self::CrossSite => plain(403, "csrf", "This request comes from another site."),
            Self::Preflight => plain(403, "cors", "Cross-origin requests are not allowed here."),
            Self::NotFound => plain(404, "not_found", "There is nothing here."),
            Self::NotEnabled => plain(501, "not_enabled", "This is not switched on here."),
            Self::NoCredential => plain(401, "not_authenticated", "Sign in, or send a credential."),
            Self::MalformedCredential => {
                token("malformed_credential", "The credential can't be read.")
            }
            Self::InvalidToken => token("invalid_token", "The token is not valid here."),
            Self::UnknownKey => token("unknown_key", "The token is signed with an unknown key."),
            Self::UnknownApiKey => token("unknown_api_key", "This API key is not known."),
            Self::ExpiredApiKey => token("expired_api_key", "This API key has expired."),
            Self::CredentialNotAccepted => {
                token("credential_not_accepted", "This kind of credential is not accepted here.")
            }
            Self::ClientCredentials => token(
                "client_credentials",
                "The identity provider does not accept these client credentials.",
            ),
            Self::PersonalToken => {
                token("personal_token", "This personal token is not valid here any more.")
            }
            Self::TokenRequest => {
                plain(400, "invalid_request", "The request for a personal token can't be read.")
            }
            Self::TokenCode => plain(
                400,
                "invalid_grant",
                "The code is not valid here any more. Ask for a new one.",
            ),
            Self::SessionEnded => plain(
                401,
                "session_ended",
                "Your session has ended. Reload the page to sign in again.",
            ),
            Self::SocketByCookie => {
                plain(403, "socket_by_cookie", "Sockets are not opened by a browser session.")
            }
            Self::FirstFrame => {
                plain(401, "first_frame", "The first frame must carry a credential.")
            }
            Self::BodyTooLarge => plain(
                413,
                "body_too_large",
                "The body of this request is too large to be judged; at most 64 KiB.",
            ),
            Self::NoRole => plain(403, "no_role", "Your account has no role in Prefect."),
            Self::RoleMissing => plain(403, "role_missing", "Your role does not allow this."),
            Self::Masked => plain(403, "masked", "Only a part of this is for your role."),
            Self::UnknownAttempt => plain(
                400,
                "unknown_login",
                "This sign-in was not started in this browser, or is over.",
            ),
            Self::Callback => {
                plain(400, "bad_callback", "The answer of the identity provider is incomplete.")
            }
            Self::LogoutToken => {
                plain(400, "invalid_logout_token", "The logout token is not valid here.")
            }
            Self::LoginLoop => plain(
                400,
                "login_loop",
                "It has failed several times in a row. Check that your browser keeps cookies for this \
                 site, then try again.",
            ),
            Self::ProviderRefused => {
                plain(403, "login_refused", "The identity provider did not sign you in.")
            }
            Self::ProviderAnswer => plain(
                502,
                "login_failed",
                "The answer of the identity provider could not be verified.",
            ),
            Self::SessionTooLarge => {
                plain(502, "session_too_large", "The session does not fit a cookie.")
            }
            Self::ProviderUnreachable => later(
                503,
                "idp_unreachable",
                "The identity provider can't be reached. Try again in a moment.",
                2,
            ),
            Self::NotReady => {
                later(503, "not_ready", "Sign-in is not ready yet. Try again in a moment.", 1)
            }
            Self::Busy => {
                later(503, "busy", "Too many requests are waiting. Try again in a moment.", 2)
            }
            Self::Internal => later(
                503,
                "internal",
                "Something went wrong on our side. Try again in a moment.",
                5,
            ),
            Self::PrefectSecret => plain(
                502,
                "prefect_secret",
                "Prefect refuses the gateway's credential. Tell the operator.",
            ),
        }
    }
}

/// A refusal with what the operator needs to see. Nothing secret goes in here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Why.
    pub(crate) reason: Reason,
    /// What was seen, for the log.
    pub(crate) seen: String,
    /// What was wanted, for the log.
    pub(crate) wanted: String,
    /// What it is about, for the client: a fixed name, nothing of the request.
    pub(crate) about: Option<&'static str>,
    /// Who asked, if that is proved.
    pub(crate) principal: Option<Rc<Principal>>,
}

impl Refusal {
    /// A refusal without details.
    #[must_use]
    pub(crate) fn new(reason: Reason) -> Self {
        Self { reason, seen: String::new(), wanted: String::new(), about: None, principal: None }
    }

    /// What was seen; shortened and made printable.
    #[must_use]
    pub(crate) fn seen(mut self, seen: impl AsRef<str>) -> Self {
        self.seen = shown(seen.as_ref());
        self
    }

    /// What was wanted.
    #[must_use]
    pub(crate) fn wanted(mut self, wanted: impl AsRef<str>) -> Self {
        self.wanted = shown(wanted.as_ref());
        self
    }

    /// What it is about: the claim that does not fit, say.
    #[must_use]
    pub(crate) const fn about(mut self, about: &'static str) -> Self {
        self.about = Some(about);
        self
    }

    /// Who asked.
    #[must_use]
    pub(crate) fn by(mut self, principal: Rc<Principal>) -> Self {
        self.principal = Some(principal);
        self
    }
}

impl From<crate::foundation::crypto::NoEntropy> for Refusal {
    fn from(_: crate::foundation::crypto::NoEntropy) -> Self {
        Self::new(Reason::Internal).seen("no randomness from the host")
    }
}
