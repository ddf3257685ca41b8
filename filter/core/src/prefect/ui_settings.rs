//! Prefect's `/ui-settings`: with `auth` set, its UI would show a login page of its own, and its
//! `api_url` names an address that only the server knows.

use serde_json::Value;

use crate::config::Config;

/// The settings as browsers behind the gate need them; `None` leaves them as they are.
#[must_use]
pub(crate) fn rewrite(body: &[u8], config: &Config) -> Option<Vec<u8>> {
    let Ok(Value::Object(mut settings)) = crate::foundation::json::parse(body) else { return None };
    settings.insert("auth".to_owned(), Value::Null);
    settings.insert("api_url".to_owned(), config.prefect.api_path.clone().into());
    serde_json::to_vec(&settings).ok()
}
