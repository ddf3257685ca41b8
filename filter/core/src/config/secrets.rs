//! The secrets from the environment.

use std::cell::RefCell;
use std::rc::Rc;

use super::error::Problem;
use super::{AUTH_REQUEST_SECRET, ClientAuth, Secrets};
use crate::foundation::crypto::{Key, from_base64url, to_base64};
use crate::foundation::secret::Secret;
use crate::wire::jose::signing::SigningKey;

/// Reads environment variables, and reports missing and malformed ones.
struct Environment<'a> {
    read: &'a dyn Fn(&str) -> Option<String>,
    problems: &'a Rc<RefCell<Vec<Problem>>>,
}

impl Environment<'_> {
    fn report(&self, name: &str, found: &str, wanted: &str) {
        let problem =
            Problem { path: name.to_owned(), found: found.to_owned(), wanted: wanted.to_owned() };
        self.problems.borrow_mut().push(problem);
    }

    fn optional(&self, name: &str) -> Option<String> {
        (self.read)(name).filter(|value| !value.is_empty())
    }

    fn required(&self, name: &str, wanted: &str) -> Option<String> {
        let value = self.optional(name);
        if value.is_none() {
            let wanted = format!(
                "{wanted} (in Envoy's environment and in vm_config.environment_variables.host_env_keys)"
            );
            self.report(name, "nothing", &wanted);
        }
        value
    }

    fn cookie_keys(&self) -> Option<Vec<Key>> {
        const NAME: &str = "LICTOR_COOKIE_KEYS";
        let wanted = "1 or more keys of 32 bytes in base64url, separated by commas";
        let text = self.required(NAME, wanted)?;
        let key = |text: &str| from_base64url(text.trim().as_bytes())?.try_into().ok();
        let keys: Option<Vec<Key>> = text.split(',').map(key).collect();
        if keys.is_none() {
            let wanted = "keys of 32 bytes in base64url without padding, separated by commas";
            self.report(NAME, "something else", wanted);
        }
        keys
    }

    fn prefect(&self) -> Option<String> {
        const NAME: &str = "LICTOR_PREFECT_AUTH_STRING";
        let text =
            self.required(NAME, "Prefect's PREFECT_SERVER_API_AUTH_STRING (name:password)")?;
        if !text.is_ascii() || !text.contains(':') {
            // Prefect responds with 500 to every request if its auth string is not ASCII.
            self.report(NAME, "a text without a colon, or not ASCII", "name:password in ASCII");
        }
        Some(text)
    }

    fn client_key(&self) -> Option<SigningKey> {
        const NAME: &str = "LICTOR_CLIENT_KEY";
        let wanted = "the client's private key, EC P-256 or Ed25519, as a JWK or PKCS#8 in PEM";
        let key = SigningKey::read(&self.required(NAME, wanted)?);
        key.inspect_err(|bad| self.report(NAME, bad.0, wanted)).ok()
    }

    fn auth_request(&self) -> Option<String> {
        let text = self.optional(AUTH_REQUEST_SECRET);
        if text.as_ref().is_some_and(|text| text.len() < 32) {
            self.report(AUTH_REQUEST_SECRET, "a short text", "32 characters or more, at random");
        }
        text
    }
}

/// Reads all secrets; `None` if a required one is missing, which is reported.
pub(super) fn secrets(
    read: &dyn Fn(&str) -> Option<String>,
    client_auth: ClientAuth,
    problems: &Rc<RefCell<Vec<Problem>>>,
) -> Option<Secrets> {
    let environment = Environment { read, problems };
    let has_secret = matches!(client_auth, ClientAuth::Basic | ClientAuth::Post);
    let has_key = client_auth == ClientAuth::PrivateKeyJwt;
    let wanted = "the client's secret at the identity provider";
    let client = has_secret.then(|| environment.required("LICTOR_CLIENT_SECRET", wanted)).flatten();
    let client_key = has_key.then(|| environment.client_key()).flatten();
    let cookie_keys = environment.cookie_keys();
    let prefect = environment.prefect();
    let auth_request = environment.auth_request();
    if (has_secret && client.is_none()) || (has_key && client_key.is_none()) {
        return None;
    }
    let prefect = prefect?;
    let credential = format!("Basic {}", to_base64(prefect.as_bytes()));
    Some(Secrets {
        client: client.map(Secret::new),
        client_key,
        cookie_keys: cookie_keys?,
        prefect: Secret::new(prefect),
        prefect_credential: Secret::new(credential),
        auth_request: auth_request.map(Secret::new),
    })
}
