//! Every refusal: its HTTP status, its text for the client, and its name in logs and metrics.
//!
//! One table holds all of it; no other code chooses the status of a refusal.

use std::rc::Rc;

use crate::foundation::log_text::shown;
use crate::identity::principal::Principal;
use crate::identity::role::Role;

/// Why a request is not forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    // The request is at fault.
    /// The request target can be read in more than one way.
    AmbiguousTarget,
    /// The method is not accepted, by Prefect or by this endpoint.
    Method,
    /// The `Upgrade` is not a WebSocket upgrade that Envoy accepts, or the endpoint takes none.
    Upgrade,
    /// The host is not configured.
    Host,
    /// The `Cookie` header lines are longer than Lictor reads.
    CookiesTooLarge,
    /// The request shows more than one credential.
    SeveralCredentials,
    /// A page of another origin sent the request (CSRF).
    CrossSite,
    /// The request is a CORS preflight.
    Preflight,
    /// There is no such endpoint or socket.
    NotFound,
    /// The settings do not enable this endpoint.
    NotEnabled,
    // The credential is at fault.
    /// The request shows no credential.
    NoCredential,
    /// The credential is neither Bearer nor Basic, or is malformed.
    MalformedCredential,
    /// The credential looks like an API key or a token with something around it.
    MisspeltCredential,
    /// The token does not verify.
    InvalidToken,
    /// The token is signed with a key that the issuer does not publish.
    UnknownKey,
    /// The API key is not configured.
    UnknownApiKey,
    /// The API key has expired.
    ExpiredApiKey,
    /// The name has no such password, or the password has expired.
    WrongPassword,
    /// The configuration does not accept this kind of credential.
    CredentialNotAccepted,
    /// The provider does not accept these client credentials.
    ClientCredentials,
    /// The personal token is not valid, or no longer valid.
    PersonalToken,
    /// A native app's request for a personal token is malformed.
    TokenRequest,
    /// The code for a personal token is used, too old, or does not match the PKCE verifier.
    TokenCode,
    /// The session has ended.
    SessionEnded,
    /// A session cookie can't open a WebSocket.
    SocketByCookie,
    /// The first frame of a WebSocket contains no credential.
    FirstFrame,
    /// The body decides about the request, and is too large to be read.
    BodyTooLarge,
    /// The body decides about the request, and has not arrived in time.
    BodyTimeout,
    /// A proxy in front describes the request, and does not prove itself.
    ProxySecret,
    // A right is missing.
    /// The person is not among those who may come.
    NotAllowed,
    /// The principal has no role.
    NoRole,
    /// The operation needs another role.
    RoleMissing,
    /// The role may see only part of the response.
    Masked,
    /// The role may see only part of the response, which is too large for the rest to be removed.
    MaskedTooLarge,
    // The login failed.
    /// The callback belongs to no login attempt of this browser.
    UnknownAttempt,
    /// The callback is malformed.
    Callback,
    /// The logout token does not verify.
    LogoutToken,
    /// Several logins of this browser have failed in a row.
    LoginLoop,
    /// The provider refused the login.
    ProviderRefused,
    /// The provider's response does not verify.
    ProviderAnswer,
    /// The provider rejects the request of Lictor's own client.
    ProviderRejectsClient,
    /// The session is too large for a cookie.
    SessionTooLarge,
    // Lictor or the deployment is at fault.
    /// The provider can't be reached, or gave no usable response.
    ProviderUnreachable,
    /// The provider's keys or metadata are not loaded yet.
    NotReady,
    /// A limit on waiting work or open sockets is reached.
    Busy,
    /// Lictor itself failed.
    Internal,
    /// Prefect does not accept the shared secret.
    PrefectSecret,
    /// Envoy got no response of Prefect.
    PrefectUnreachable,
}

/// One row of the table: what a [`Reason`] means to each reader.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meaning {
    /// HTTP status.
    pub(crate) status: u16,
    /// Stable name in responses, logs and metrics.
    pub(crate) code: &'static str,
    /// The sentence for the client: a fixed text, without any part of the request.
    pub(crate) text: &'static str,
    /// `error` of the `Bearer` challenge (RFC 6750 §3.1), for refusals that have one.
    pub(crate) challenge: Option<&'static str>,
    /// `Retry-After`, in seconds.
    pub(crate) retry_after: Option<u32>,
    /// `error` in the response of an OAuth endpoint (RFC 6749 §5.2).
    pub(crate) oauth_error: &'static str,
    /// Status in the response to another proxy that asks for a verdict: 401 or 403.
    ///
    /// Such a proxy understands only these two. 403 means that the request itself is refused or a
    /// right is missing; 401 means that another credential or a later try may succeed.
    pub(crate) auth_request_status: u16,
}

impl Meaning {
    const fn oauth(self, oauth_error: &'static str) -> Self {
        Self { oauth_error, ..self }
    }

    const fn forbidden(self) -> Self {
        Self { auth_request_status: 403, ..self }
    }
}

const fn plain(status: u16, code: &'static str, text: &'static str) -> Meaning {
    let oauth_error = if status == 503 { "server_error" } else { "invalid_request" };
    let auth_request_status = if status == 403 { 403 } else { 401 };
    let (challenge, retry_after) = (None, None);
    Meaning { status, code, text, challenge, retry_after, oauth_error, auth_request_status }
}

const fn later(status: u16, code: &'static str, text: &'static str, seconds: u32) -> Meaning {
    Meaning { retry_after: Some(seconds), ..plain(status, code, text) }
}

const fn token(code: &'static str, text: &'static str) -> Meaning {
    Meaning { challenge: Some("invalid_token"), ..plain(401, code, text) }
}

/// The rows of the table, one for each [`Reason`].
mod table {
    use super::{Meaning, later, plain, token};

    pub(super) const AMBIGUOUS_TARGET: Meaning =
        plain(400, "ambiguous_target", "The request path is ambiguous.").forbidden();
    pub(super) const METHOD: Meaning =
        plain(405, "method_not_allowed", "This method is not allowed here.").forbidden();
    pub(super) const UPGRADE: Meaning =
        plain(400, "bad_upgrade", "Only WebSocket upgrades are supported.").forbidden();
    pub(super) const HOST: Meaning =
        plain(421, "unknown_host", "This host name is not served here.").forbidden();
    pub(super) const COOKIES_TOO_LARGE: Meaning = plain(
        431,
        "cookies_too_large",
        "The cookies of this site are too large. Delete them and try again.",
    );
    pub(super) const SEVERAL_CREDENTIALS: Meaning =
        plain(400, "several_credentials", "Send exactly one credential.");
    pub(super) const CROSS_SITE: Meaning =
        plain(403, "csrf", "Cross-site requests are not allowed.");
    pub(super) const PREFLIGHT: Meaning =
        plain(403, "cors", "Cross-origin requests are not allowed here.");
    pub(super) const NOT_FOUND: Meaning =
        plain(404, "not_found", "There is nothing at this address.");
    pub(super) const NOT_ENABLED: Meaning =
        plain(501, "not_enabled", "This is not switched on here.");
    pub(super) const NO_CREDENTIAL: Meaning =
        plain(401, "not_authenticated", "Sign in, or send a credential.");
    pub(super) const MALFORMED_CREDENTIAL: Meaning = token(
        "malformed_credential",
        "The credential is malformed. Write name:key, or Bearer and a token.",
    );
    pub(super) const MISSPELT_CREDENTIAL: Meaning = token(
        "misspelt_credential",
        "The credential has something around it. Write name:key alone, without blanks, quotes or a scheme.",
    );
    pub(super) const INVALID_TOKEN: Meaning =
        token("invalid_token", "The token is not valid here.");
    pub(super) const UNKNOWN_KEY: Meaning =
        token("unknown_key", "The token is signed with an unknown key.");
    pub(super) const UNKNOWN_API_KEY: Meaning =
        token("unknown_api_key", "This API key is not known.");
    pub(super) const EXPIRED_API_KEY: Meaning =
        token("expired_api_key", "This API key has expired.");
    pub(super) const WRONG_PASSWORD: Meaning =
        token("wrong_password", "The name or the password is wrong, or has expired.");
    pub(super) const CREDENTIAL_NOT_ACCEPTED: Meaning =
        token("credential_not_accepted", "This kind of credential is not accepted here.");
    pub(super) const CLIENT_CREDENTIALS: Meaning = token(
        "client_credentials",
        "The identity provider does not accept these client credentials.",
    );
    pub(super) const PERSONAL_TOKEN: Meaning =
        token("personal_token", "This personal token is no longer valid.");
    pub(super) const TOKEN_REQUEST: Meaning =
        plain(400, "invalid_request", "The request for a personal token is malformed.");
    pub(super) const TOKEN_CODE: Meaning =
        plain(400, "invalid_grant", "The code is no longer valid. Request a new one.")
            .oauth("invalid_grant");
    pub(super) const SESSION_ENDED: Meaning =
        plain(401, "session_ended", "Your session has ended. Reload the page to sign in again.");
    pub(super) const SOCKET_BY_COOKIE: Meaning = plain(
        403,
        "socket_by_cookie",
        "A browser session cannot open a WebSocket. Send a credential.",
    );
    pub(super) const FIRST_FRAME: Meaning =
        plain(401, "first_frame", "The first frame must contain a credential.");
    pub(super) const BODY_TOO_LARGE: Meaning = plain(
        413,
        "body_too_large",
        "The request body is too large to authorize. The limit is 64 KiB.",
    );
    pub(super) const BODY_TIMEOUT: Meaning =
        plain(408, "body_timeout", "The request body did not arrive within 10 seconds.");
    pub(super) const PROXY_SECRET: Meaning =
        plain(403, "proxy_secret", "The proxy in front did not prove itself.");
    pub(super) const NOT_ALLOWED: Meaning =
        plain(403, "not_allowed", "Your account may not use this Prefect.");
    pub(super) const NO_ROLE: Meaning =
        plain(403, "no_role", "Your account has no role in Prefect.");
    pub(super) const ROLE_MISSING: Meaning =
        plain(403, "role_missing", "Your role does not allow this.");
    pub(super) const MASKED: Meaning =
        plain(403, "masked", "Your role may see only part of this response.");
    pub(super) const MASKED_TOO_LARGE: Meaning = plain(
        403,
        "masked_too_large",
        "Your role may see only part of this response, which is too large to remove the rest. Request less at once.",
    );
    pub(super) const UNKNOWN_ATTEMPT: Meaning = plain(
        400,
        "unknown_login",
        "This sign-in was not started in this browser, or has expired.",
    );
    pub(super) const CALLBACK: Meaning =
        plain(400, "bad_callback", "The identity provider's response is incomplete.");
    pub(super) const LOGOUT_TOKEN: Meaning =
        plain(400, "invalid_logout_token", "The logout token is not valid here.");
    pub(super) const LOGIN_LOOP: Meaning = plain(
        400,
        "login_loop",
        "Signing in has failed several times in a row. Check that your browser keeps cookies for this site, then try again.",
    );
    pub(super) const PROVIDER_REFUSED: Meaning =
        plain(403, "login_refused", "The identity provider did not sign you in.");
    pub(super) const PROVIDER_ANSWER: Meaning =
        plain(502, "login_failed", "The identity provider's response could not be verified.");
    pub(super) const PROVIDER_REJECTS_CLIENT: Meaning = plain(
        502,
        "client_rejected",
        "The identity provider rejected the gateway's request. Contact your administrator.",
    );
    pub(super) const SESSION_TOO_LARGE: Meaning =
        plain(502, "session_too_large", "The session is too large for a cookie.");
    pub(super) const PROVIDER_UNREACHABLE: Meaning = later(
        503,
        "idp_unreachable",
        "The identity provider can't be reached. Try again in a moment.",
        2,
    );
    pub(super) const NOT_READY: Meaning =
        later(503, "not_ready", "Sign-in is not ready yet. Try again in a moment.", 1);
    pub(super) const BUSY: Meaning =
        later(503, "busy", "Too many requests are waiting. Try again in a moment.", 2);
    pub(super) const INTERNAL: Meaning =
        later(503, "internal", "Something went wrong on our side. Try again in a moment.", 5);
    pub(super) const PREFECT_SECRET: Meaning = plain(
        502,
        "prefect_secret",
        "Prefect rejected the gateway's credential. Contact your administrator.",
    );
    pub(super) const PREFECT_UNREACHABLE: Meaning =
        later(503, "prefect_unreachable", "Prefect can't be reached. Try again in a moment.", 5);
}

impl Reason {
    /// Returns the row of the table for this reason.
    #[must_use]
    pub(crate) const fn meaning(self) -> Meaning {
        match self {
            Self::AmbiguousTarget => table::AMBIGUOUS_TARGET,
            Self::Method => table::METHOD,
            Self::Upgrade => table::UPGRADE,
            Self::Host => table::HOST,
            Self::CookiesTooLarge => table::COOKIES_TOO_LARGE,
            Self::SeveralCredentials => table::SEVERAL_CREDENTIALS,
            Self::CrossSite => table::CROSS_SITE,
            Self::Preflight => table::PREFLIGHT,
            Self::NotFound => table::NOT_FOUND,
            Self::NotEnabled => table::NOT_ENABLED,
            Self::NoCredential => table::NO_CREDENTIAL,
            Self::MalformedCredential => table::MALFORMED_CREDENTIAL,
            Self::MisspeltCredential => table::MISSPELT_CREDENTIAL,
            Self::InvalidToken => table::INVALID_TOKEN,
            Self::UnknownKey => table::UNKNOWN_KEY,
            Self::UnknownApiKey => table::UNKNOWN_API_KEY,
            Self::ExpiredApiKey => table::EXPIRED_API_KEY,
            Self::WrongPassword => table::WRONG_PASSWORD,
            Self::CredentialNotAccepted => table::CREDENTIAL_NOT_ACCEPTED,
            Self::ClientCredentials => table::CLIENT_CREDENTIALS,
            Self::PersonalToken => table::PERSONAL_TOKEN,
            Self::TokenRequest => table::TOKEN_REQUEST,
            Self::TokenCode => table::TOKEN_CODE,
            Self::SessionEnded => table::SESSION_ENDED,
            Self::SocketByCookie => table::SOCKET_BY_COOKIE,
            Self::FirstFrame => table::FIRST_FRAME,
            Self::BodyTooLarge => table::BODY_TOO_LARGE,
            Self::BodyTimeout => table::BODY_TIMEOUT,
            Self::ProxySecret => table::PROXY_SECRET,
            Self::NotAllowed => table::NOT_ALLOWED,
            Self::NoRole => table::NO_ROLE,
            Self::RoleMissing => table::ROLE_MISSING,
            Self::Masked => table::MASKED,
            Self::MaskedTooLarge => table::MASKED_TOO_LARGE,
            Self::UnknownAttempt => table::UNKNOWN_ATTEMPT,
            Self::Callback => table::CALLBACK,
            Self::LogoutToken => table::LOGOUT_TOKEN,
            Self::LoginLoop => table::LOGIN_LOOP,
            Self::ProviderRefused => table::PROVIDER_REFUSED,
            Self::ProviderAnswer => table::PROVIDER_ANSWER,
            Self::ProviderRejectsClient => table::PROVIDER_REJECTS_CLIENT,
            Self::SessionTooLarge => table::SESSION_TOO_LARGE,
            Self::ProviderUnreachable => table::PROVIDER_UNREACHABLE,
            Self::NotReady => table::NOT_READY,
            Self::Busy => table::BUSY,
            Self::Internal => table::INTERNAL,
            Self::PrefectSecret => table::PREFECT_SECRET,
            Self::PrefectUnreachable => table::PREFECT_UNREACHABLE,
        }
    }
}

/// A refusal with the details that the operator needs. It must not contain secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Why the request is refused.
    pub(crate) reason: Reason,
    /// What Lictor saw, for the log.
    pub(crate) seen: String,
    /// What Lictor expected, for the log. The client sees the roles of a missing role, and the
    /// methods of [`Reason::Method`], which have the form of the `Allow` header.
    pub(crate) wanted: String,
    /// A fixed detail for the client, such as the claim that does not match.
    pub(crate) about: Option<&'static str>,
    /// Who sent the request, if a credential has proved it.
    pub(crate) principal: Option<Rc<Principal>>,
    /// The role of the principal.
    pub(crate) role: Option<Role>,
}

impl Refusal {
    /// Creates a refusal without details.
    #[must_use]
    pub(crate) fn new(reason: Reason) -> Self {
        Self {
            reason,
            seen: String::new(),
            wanted: String::new(),
            about: None,
            principal: None,
            role: None,
        }
    }

    /// Sets what Lictor saw, shortened and made printable.
    #[must_use]
    pub(crate) fn seen(mut self, seen: impl AsRef<str>) -> Self {
        self.seen = shown(seen.as_ref());
        self
    }

    /// Sets what Lictor expected, shortened and made printable.
    #[must_use]
    pub(crate) fn wanted(mut self, wanted: impl AsRef<str>) -> Self {
        self.wanted = shown(wanted.as_ref());
        self
    }

    /// Sets the detail for the client, such as the claim that does not match.
    #[must_use]
    pub(crate) const fn about(mut self, about: &'static str) -> Self {
        self.about = Some(about);
        self
    }

    /// Returns the roles that would be sufficient, if a known principal lacks a role.
    #[must_use]
    pub(crate) fn sufficient_roles(&self) -> Option<&str> {
        let by_role = matches!(self.reason, Reason::NoRole | Reason::RoleMissing | Reason::Masked);
        (by_role && self.principal.is_some()).then_some(&self.wanted)
    }

    /// Creates the refusal for something that there is too much of.
    #[must_use]
    pub(crate) fn busy(seen: &str) -> Self {
        Self::new(Reason::Busy).seen(seen).wanted("fewer of them at a time")
    }

    /// Creates the refusal of a request whose `Cookie` header is too large to be read.
    #[must_use]
    pub(crate) fn too_many_cookies() -> Self {
        Self::new(Reason::CookiesTooLarge)
            .seen("a Cookie header that is too large")
            .wanted("fewer cookies of this site")
    }

    /// Creates the refusal of a request whose target has no single meaning.
    #[must_use]
    pub(crate) fn ambiguous(seen: &str) -> Self {
        Self::new(Reason::AmbiguousTarget).seen(seen).wanted("a path with one meaning")
    }

    /// Creates the refusal while the provider does not say whether a credential is valid.
    #[must_use]
    pub(crate) fn no_answer_about_a_credential() -> Self {
        Self::new(Reason::ProviderUnreachable)
            .seen("no answer of the provider about a credential")
            .wanted("an answer")
    }

    /// Creates the refusal of a user who may not come. `id` is that of the principal, and `email`
    /// the accepted address.
    #[must_use]
    pub(crate) fn not_allowed(id: &str, email: Option<&str>) -> Self {
        let email = email.unwrap_or("no verified e-mail address");
        Self::new(Reason::NotAllowed)
            .seen(format!("{id} with {email}"))
            .wanted("a subject, address or domain of users.allow")
    }

    /// Creates the refusal while the provider's keys are not known.
    #[must_use]
    pub(crate) fn no_keys() -> Self {
        Self::new(Reason::NotReady)
            .seen("no keys of the issuer yet")
            .wanted("the keys (earlier lines say why they can't be loaded)")
    }

    /// Sets who sent the request, and with which role.
    #[must_use]
    pub(crate) fn by(mut self, principal: &Rc<Principal>, role: Option<Role>) -> Self {
        self.principal = Some(Rc::clone(principal));
        self.role = role;
        self
    }
}

impl From<crate::foundation::crypto::NoEntropy> for Refusal {
    fn from(_: crate::foundation::crypto::NoEntropy) -> Self {
        Self::new(Reason::Internal)
            .seen("no randomness from the host")
            .wanted("wasi random_get to work")
    }
}
