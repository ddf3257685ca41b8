//! Session cookies as Lictor seals them, for people who have never been seen: the same code, with
//! the key that the gateway has.

use std::time::{SystemTime, UNIX_EPOCH};

use lictor_core::testing::outside::session_cookie;
use lictor_core::{Config, Entropy, NoEntropy, UnixTime};
use lictor_integration::error::{Error, Result};

use crate::provider::refresh_token;

/// So many `Cookie` values, for a gateway with this configuration and environment.
pub fn cookies(text: &str, environment: &[(&str, String)], count: usize) -> Result<Vec<String>> {
    let value = |name: &str| {
        environment.iter().find(|(own, _)| *own == name).map(|(_, value)| value.clone())
    };
    let config = Config::compile(text.as_bytes(), &value)
        .map_err(|errors| Error::new(format!("the configuration of the benchmark: {errors}")))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = UnixTime::from_millis(u64::try_from(now.as_millis()).unwrap_or_default());
    let cookie = |number| session_cookie(&config, number, refresh_token(number), now, &mut Host);
    Ok((0..count).map(cookie).collect())
}

struct Host;

impl Entropy for Host {
    fn fill(&mut self, buffer: &mut [u8]) -> std::result::Result<(), NoEntropy> {
        getrandom::fill(buffer).map_err(|_| NoEntropy)
    }
}
