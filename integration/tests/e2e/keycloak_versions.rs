//! The Keycloaks that stories are told at: the newest that is pinned, which is the main stack's,
//! and an old one that many still run. That one takes long to start: once, by whichever story comes
//! first.

use std::sync::OnceLock;

use lictor_integration::download;
use lictor_integration::layout::Layout;
use serde_json::Value;

use crate::client::Gate;
use crate::cookie_client::CookieClient;
use crate::gateway::{Gateway, OwnKeycloak, Plan};
use crate::keycloak_admin::{StrictRotation, admin_at, allow_callback_at};
use crate::world::world;

/// Keycloak 24.0.5, and the gate that has its name in every address.
pub fn oldest() -> &'static Gateway {
    static OLDEST: OnceLock<(Gateway, OwnKeycloak)> = OnceLock::new();
    let start = || {
        let gateway = Plan::new("keycloak-24").own_keycloak().start_unready();
        let keycloak = gateway.start_keycloak(&download::KEYCLOAK_24);
        (gateway, keycloak)
    };
    &OLDEST.get_or_init(start).0
}

/// The group of the stories that change what all see who use the old one.
pub const KEYCLOAK_24: &str = "Keycloak 24";

/// One of them.
#[derive(Clone, Copy)]
pub struct Keycloak<'a> {
    pub layout: &'a Layout,
    /// The Envoy that leads to it.
    gate: &'a Gate,
}

impl Keycloak<'static> {
    pub fn newest() -> Self {
        Self { layout: &world().layout, gate: &world().gate }
    }

    pub fn oldest() -> Self {
        let gateway = oldest();
        Self { layout: &gateway.layout, gate: &gateway.gate }
    }
}

impl Keycloak<'_> {
    pub fn port(self) -> u16 {
        self.layout.ports.keycloak
    }

    /// One more gate, whose people log in there.
    pub fn gateway(self, name: &'static str, settings: Value) -> Gateway {
        let gateway = self.plan(name, settings).start();
        allow_callback_at(self.port(), &gateway.gate.origin());
        gateway
    }

    /// A gate like that, before it is started.
    pub fn plan(self, name: &'static str, mut settings: Value) -> Plan {
        settings["issuer"] = self.layout.issuer().into();
        Plan::new(name).keycloak(self.port()).patch(settings)
    }

    /// Somebody at a gate, who meets this Keycloak.
    pub fn visitor(self, gate: &Gate) -> CookieClient {
        let mut visitor = CookieClient::new(gate);
        visitor.to_keycloak = self.gate.clone();
        visitor
    }

    #[track_caller]
    pub fn admin(self, method: &str, path: &str) -> crate::http1::Answer {
        admin_at(self.port(), method, path, None)
    }

    /// See [`StrictRotation`].
    #[track_caller]
    pub fn rotate_strictly(self) -> StrictRotation {
        StrictRotation::begin(self.port())
    }
}
