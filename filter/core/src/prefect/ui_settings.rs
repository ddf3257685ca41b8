//! Prefect's `/ui-settings` document.
//!
//! With `auth` set, Prefect's UI shows a login page of its own. `api_url` is an address that only
//! the server can reach.

use serde_json::Value;

use crate::config::Config;

/// Returns the document with the settings that browsers behind Lictor need.
///
/// Returns `None` if the body is not a JSON object, which then passes unchanged.
#[must_use]
pub(crate) fn rewrite(body: &[u8], config: &Config) -> Option<Vec<u8>> {
    let Ok(Value::Object(mut settings)) = crate::foundation::json::parse(body) else { return None };
    settings.insert("auth".to_owned(), Value::Null);
    settings.insert("api_url".to_owned(), config.prefect.api_path.clone().into());
    serde_json::to_vec(&settings).ok()
}
