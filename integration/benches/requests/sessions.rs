//! Session cookies as Lictor seals them, for people who have never been seen: the same code, with the
//! key that the gateway has.

use std::time::{SystemTime, UNIX_EPOCH};

use lictor_core::Config;
use lictor_core::foundation::crypto::{Entropy, NoEntropy};
use lictor_core::foundation::secret::Secret;
use lictor_core::foundation::time::UnixTime;
use lictor_core::identity::role::Role;
use lictor_core::session::cookie::SessionCookie;
use lictor_core::session::model::Session;
use lictor_core::wire::http::cookies::Cookies;
use lictor_integration::error::{Error, Result};

use crate::provider::refresh_token;

/// So many `Cookie` values, for a gateway with this configuration and environment.
pub fn cookies(text: &str, environment: &[(&str, String)], count: usize) -> Result<Vec<String>> {
    let value = |name: &str| {
        environment.iter().find(|(own, _)| *own == name).map(|(_, value)| value.clone())
    };
    let config = Config::compile(text.as_bytes(), &value)
        .map_err(|errors| Error::new(format!("the configuration of the benchmark: {errors}")))?;
    let sealing = SessionCookie::new(&config);
    (0..count)
        .map(|number| {
            let set = sealing.set(&config, &session(number), &Cookies::default(), &mut Host);
            let set = set.map_err(|why| Error::new(format!("no cookie: {why:?}")))?;
            let pairs = set.iter().filter_map(|line| line.split(';').next());
            Ok(pairs.collect::<Vec<_>>().join("; "))
        })
        .collect()
}

fn session(number: usize) -> Session {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = UnixTime::from_secs(now.as_secs());
    Session {
        id: (number as u128).to_be_bytes(),
        subject: format!("1f4e7c52-9d3b-4d19-a1a6-{number:012x}"),
        name: "alice".to_owned(),
        email: Some("alice@example.com".to_owned()),
        role: Some(Role::Operator),
        sid: Some("c2f1a5e0-7d0c-4f0a-9b6e-0d6e3f3b9a77".to_owned()),
        auth_time: Some(now.secs()),
        started: now,
        used: now,
        checked: now,
        refresh_token: Some(Secret::new(refresh_token(number))),
    }
}

struct Host;

impl Entropy for Host {
    fn fill(&mut self, buffer: &mut [u8]) -> std::result::Result<(), NoEntropy> {
        getrandom::fill(buffer).map_err(|_| NoEntropy)
    }
}
