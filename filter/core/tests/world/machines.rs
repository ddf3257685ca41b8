//! Machines: the credentials that they show.

use serde_json::{Value, json};

use super::{Headers, Outcome, World, basic, request};

/// The ID and the secret of a client that the provider knows.
pub const PAIR: &str = "etl-worker:planted-secret-of-etl";

/// A user of an htpasswd file: name and password, and the line.
pub const HTPASSWD: (&str, &str) = (
    "reports:planted-password-of-reports",
    "reports:$2y$04$reportsreportsreportsuuqTdpf/EcyZFIZV5NzeCoA0ihvGAkk6",
);

/// The setting `machines.htpasswd` with that user.
pub fn htpasswd() -> Value {
    json!([{ "line": HTPASSWD.1, "role": "worker", "expires": "2027-01-15T09:00:00Z" }])
}

/// A request with these credentials in Basic.
pub fn asks(pair: &str) -> Headers {
    request("GET", "/api/flows/1", &[("authorization", &basic(pair))])
}

impl World {
    /// The status of a request with these credentials in Basic.
    pub fn status_of(&mut self, pair: &str) -> u16 {
        self.request(&asks(pair)).1.status()
    }

    /// How often client credentials were shown to the provider.
    pub fn exchanges(&self) -> usize {
        self.idp.shown.len()
    }

    /// The header value of a service account that has got an access token just now.
    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.idp.sign(&self.idp.machine_claims(self.now)))
    }

    /// A request with an access token.
    pub fn show(&mut self, token: &str) -> Outcome {
        let line = format!("Bearer {token}");
        self.request(&request("GET", "/api/flows/1", &[("authorization", &line)])).1
    }
}
