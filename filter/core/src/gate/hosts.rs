//! The configured host name that a request was sent to.

use crate::config::Config;
use crate::config::url::normal_authority;
use crate::refusal::{Reason, Refusal};
use crate::wire::http::request::RequestView;

/// The host of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestHost<'a> {
    /// The configured host, or `None` for a host that is not configured.
    configured: Option<ConfiguredHost<'a>>,
    /// The host as the client wrote it.
    asked: &'a str,
}

/// A configured host.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ConfiguredHost<'a> {
    /// The host of the public URL.
    Public,
    /// A host for machines, without cookies or logins.
    Machine(&'a str),
}

impl<'a> RequestHost<'a> {
    /// Finds the configured host that `:authority` names.
    ///
    /// For Lictor's own endpoints, the names that another proxy uses for it (`endpoints.hosts`)
    /// stand for the public one.
    pub(crate) fn of(request: RequestView<'a>, is_endpoint: bool, config: &'a Config) -> Self {
        let asked = request.text(":authority").unwrap_or_default();
        Self { configured: Self::find(asked, is_endpoint, config), asked }
    }

    fn find(asked: &str, is_endpoint: bool, config: &'a Config) -> Option<ConfiguredHost<'a>> {
        if asked == config.public.authority {
            return Some(ConfiguredHost::Public);
        }
        let name = normal_authority(asked, config.public.https)?;
        if name == config.public.authority || (is_endpoint && config.endpoint_hosts.contains(&name))
        {
            return Some(ConfiguredHost::Public);
        }
        let mut hosts = config.machines.hosts.iter();
        hosts.find(|host| **host == name).map(|host| ConfiguredHost::Machine(host))
    }

    /// Returns the configured host, or refuses any other.
    pub(crate) fn known(self) -> Result<ConfiguredHost<'a>, Refusal> {
        self.configured.ok_or_else(|| {
            Refusal::new(Reason::Host)
                .seen(if self.asked.is_empty() { "no host" } else { "another host" })
                .wanted("the host of public_url, or one of machines.hosts or endpoints.hosts")
        })
    }

    /// Returns whether browsers log in at this host.
    pub(crate) const fn is_public(self) -> bool {
        matches!(self.configured, Some(ConfiguredHost::Public))
    }

    /// Returns the configured name, or the public one for any other host: health checks name an
    /// address.
    pub(crate) fn or_public(self, config: &'a Config) -> &'a str {
        self.configured.map_or(config.public.authority.as_str(), |known| known.authority(config))
    }
}

impl<'a> ConfiguredHost<'a> {
    /// Returns whether browsers log in at this host.
    pub(crate) const fn is_public(self) -> bool {
        matches!(self, Self::Public)
    }

    /// Returns the name that Prefect sees: the configured text, not the client's.
    pub(crate) fn authority(self, config: &'a Config) -> &'a str {
        match self {
            Self::Public => &config.public.authority,
            Self::Machine(name) => name,
        }
    }
}
