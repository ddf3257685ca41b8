//! The login of a person at the provider.

mod callback;
mod client_authentication;
mod failures;
mod id_tokens;
mod metadata;
#[cfg(not(target_family = "wasm"))]
mod open_redirects;
mod provider_answers;
mod provider_pages;
mod providers;
mod pushed;
mod return_to;
mod start;
mod userinfo;
mod users;
