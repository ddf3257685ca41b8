//! Which of the configured names a request was sent to.

use crate::config::Config;
use crate::config::url::normal_authority;
use crate::refusal::{Reason, Refusal};
use crate::wire::http::request::RequestView;

/// The host of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestHost<'a>(Option<ConfiguredHost<'a>>);

/// A configured host.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ConfiguredHost<'a> {
    /// That of the public URL.
    Public,
    /// One for machines: no cookies, no logins there.
    Machine(&'a str),
}

impl<'a> RequestHost<'a> {
    /// Reads `:authority`.
    pub(crate) fn of(request: RequestView<'_>, config: &'a Config) -> Self {
        let text = request.text(":authority");
        if text == Some(config.public.authority.as_str()) {
            return Self(Some(ConfiguredHost::Public));
        }
        let name = text.and_then(|text| normal_authority(text, config.public.https));
        Self(name.and_then(|name| {
            if name == config.public.authority {
                return Some(ConfiguredHost::Public);
            }
            config
                .machines
                .hosts
                .iter()
                .find(|host| **host == name)
                .map(|host| ConfiguredHost::Machine(host))
        }))
    }

    /// The host, if it is configured.
    pub(crate) fn known(self) -> Result<ConfiguredHost<'a>, Refusal> {
        self.0.ok_or_else(|| {
            Refusal::new(Reason::Host)
                .seen("another host")
                .wanted("the host of public_url, or one of machines.hosts")
        })
    }

    /// The configured name, ours for any other: health checks name an address.
    pub(crate) fn or_public(self, config: &'a Config) -> &'a str {
        self.0.map_or(config.public.authority.as_str(), |known| known.authority(config))
    }
}

impl<'a> ConfiguredHost<'a> {
    /// Whether browsers log in there.
    pub(crate) const fn is_public(self) -> bool {
        matches!(self, Self::Public)
    }

    /// The name that Prefect sees: the configured text, not the client's.
    pub(crate) fn authority(self, config: &'a Config) -> &'a str {
        match self {
            Self::Public => &config.public.authority,
            Self::Machine(name) => name,
        }
    }
}
