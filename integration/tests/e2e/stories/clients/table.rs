//! What Prefect's clients reach with each credential. The end-to-end story measures every cell, and
//! docs/clients.md shows the result.

use lictor_integration::secrets::MACHINE;
use lictor_integration::tools::PREFECT_VERSIONS;
use serde_json::json;

use self::Cell::{Fails, NoClient, Works};
use crate::gateway::Gateway;
use crate::keycloak_admin::{basic, worker_token};
use crate::prefect_client::Credential;
use crate::stories::passwords::PAIR;
use crate::stories::personal_tokens::personal_token;
use crate::world::world;

/// Where clients connect, as `roads.py` names it, and the purpose.
pub const ROADS: [(&str, &str); 6] = [
    ("HTTP", "the API itself"),
    ("/events/in", "events that workers and flow runs send"),
    ("/events/out", "clients that wait for runs and events"),
    ("/logs/out", "clients that follow logs"),
    ("/task_runs/subscriptions/scheduled", "task workers (`.delay()`)"),
    ("/work_pools/{name}/workers/connect", "workers; without it they use HTTP"),
];

/// What happens to a client there.
#[derive(Clone, Copy)]
pub enum Cell {
    Works,
    /// This version has no such client.
    NoClient,
    /// What the client receives, and why.
    Fails(&'static str, &'static Why),
}

/// Why it does not work, and what to do.
#[derive(PartialEq, Eq)]
pub struct Why {
    pub reason: &'static str,
    pub instead: &'static str,
}

/// By version, as in `PREFECT_VERSIONS`, and by place to connect to.
pub type Roads = [[Cell; ROADS.len()]; PREFECT_VERSIONS.len()];

/// A credential in one of the places that Prefect's settings have for it.
pub struct Kind {
    pub credential: &'static str,
    /// What people set.
    pub setting: &'static str,
    /// The same setting for the test, for a gateway.
    pub environment: fn(&Gateway) -> Vec<(&'static str, String)>,
    pub expected: Roads,
}

/// Every kind of credential. To add one, add an entry and regenerate docs/clients.md.
pub const KINDS: &[Kind] = &[
    Kind {
        credential: "API key",
        setting: "PREFECT_API_AUTH_STRING=<name>:lk_…",
        environment: |_| vec![auth_string(&world().secrets.api_key)],
        expected: BY_AUTH_STRING,
    },
    Kind {
        credential: "API key",
        setting: "PREFECT_API_KEY=lk_…",
        environment: |_| vec![("PREFECT_API_KEY", world().secrets.api_key.clone())],
        expected: BY_API_KEY,
    },
    Kind {
        credential: "API key",
        setting: r#"PREFECT_CLIENT_CUSTOM_HEADERS={"Authorization":"Bearer lk_…"}"#,
        environment: |_| {
            vec![header("Authorization", &format!("Bearer {}", world().secrets.api_key))]
        },
        expected: BY_HEADER,
    },
    Kind {
        credential: "API key",
        setting: r#"PREFECT_CLIENT_CUSTOM_HEADERS={"X-Api-Key":"lk_…"}"#,
        environment: |_| vec![header("X-Api-Key", &world().secrets.api_key)],
        expected: BY_HEADER,
    },
    Kind {
        credential: "API key, twice",
        setting: r#"PREFECT_API_AUTH_STRING=<name>:lk_… PREFECT_CLIENT_CUSTOM_HEADERS={"X-Api-Key":"lk_…"}"#,
        environment: |_| {
            let key = &world().secrets.api_key;
            vec![auth_string(key), header("X-Api-Key", key)]
        },
        expected: BY_BOTH,
    },
    Kind {
        credential: "access token",
        setting: "PREFECT_API_AUTH_STRING=<name>:<token>",
        environment: |_| vec![auth_string(&worker_token())],
        expected: BY_AUTH_STRING,
    },
    Kind {
        credential: "access token",
        setting: "PREFECT_API_KEY=<token>",
        environment: |_| vec![("PREFECT_API_KEY", worker_token())],
        expected: BY_API_KEY,
    },
    Kind {
        credential: "access token",
        setting: r#"PREFECT_CLIENT_CUSTOM_HEADERS={"Authorization":"Bearer <token>"}"#,
        environment: |_| vec![header("Authorization", &format!("Bearer {}", worker_token()))],
        expected: BY_HEADER,
    },
    Kind {
        credential: "client credentials",
        setting: "PREFECT_API_AUTH_STRING=<client_id>:<client_secret>",
        environment: |_| vec![("PREFECT_API_AUTH_STRING", Credential::OfClient.pair())],
        expected: BY_AUTH_STRING,
    },
    Kind {
        credential: "client credentials",
        setting: r#"PREFECT_CLIENT_CUSTOM_HEADERS={"Authorization":"Basic <base64 of both>"}"#,
        environment: |_| vec![header("Authorization", &basic(&Credential::OfClient.pair()))],
        expected: BY_HEADER,
    },
    Kind {
        credential: "personal token",
        setting: "PREFECT_API_AUTH_STRING=<name>:lt_…",
        environment: |gateway| vec![("PREFECT_API_AUTH_STRING", personal_token(gateway))],
        expected: BY_AUTH_STRING,
    },
    Kind {
        credential: "personal token",
        setting: "PREFECT_API_KEY=lt_…",
        environment: |gateway| {
            let pair = personal_token(gateway);
            vec![("PREFECT_API_KEY", pair.split_once(':').unwrap().1.to_owned())]
        },
        expected: BY_API_KEY,
    },
    Kind {
        credential: "personal token",
        setting: r#"PREFECT_CLIENT_CUSTOM_HEADERS={"Authorization":"Bearer lt_…"}"#,
        environment: |gateway| {
            let pair = personal_token(gateway);
            vec![header("Authorization", &format!("Bearer {}", pair.split_once(':').unwrap().1))]
        },
        expected: BY_HEADER,
    },
    Kind {
        credential: "password of an htpasswd file",
        setting: "PREFECT_API_AUTH_STRING=<name>:<password>",
        environment: |_| vec![("PREFECT_API_AUTH_STRING", PAIR.to_owned())],
        expected: BY_AUTH_STRING,
    },
    Kind {
        credential: "Prefect's own string",
        setting: "PREFECT_API_AUTH_STRING=<user>:<password>",
        environment: |_| {
            vec![("PREFECT_API_AUTH_STRING", world().secrets.prefect_auth_string.clone())]
        },
        expected: BY_AUTH_STRING,
    },
    Kind {
        credential: "client certificate",
        setting: "(Prefect has no setting for one)",
        // The closest setting: the CA that the client trusts.
        environment: |_| {
            vec![("SSL_CERT_FILE", world().stack.ca_file.to_string_lossy().into_owned())]
        },
        expected: NOTHING_SENT,
    },
];

/// All TLS settings under `api` and `client` in any version. None is for a client certificate.
pub const TLS_SETTINGS: [&str; 2] = ["api.ssl_cert_file", "api.tls_insecure_skip_verify"];

#[rustfmt::skip]
const BY_AUTH_STRING: Roads = [
    //            HTTP   events/in  events/out logs/out task runs worker channel
    /* 3.4.13 */ [Works, UNSIGNED,  Works,     Works,   Works,    NoClient],
    /* 3.6.29 */ [Works, Works,     Works,     Works,   Works,    NoClient],
    /* 3.8.8  */ [Works, Works,     Works,     Works,   Works,    Works],
];

#[rustfmt::skip]
const BY_API_KEY: Roads = [
    //            HTTP   events/in  events/out logs/out task runs worker channel
    /* 3.4.13 */ [Works, UNSIGNED,  LEFT_OUT,  LEFT_OUT, Works,   NoClient],
    /* 3.6.29 */ [Works, LEFT_OUT,  LEFT_OUT,  LEFT_OUT, Works,   NoClient],
    /* 3.8.8  */ [Works, LEFT_OUT,  LEFT_OUT,  LEFT_OUT, Works,   Works],
];

#[rustfmt::skip]
const BY_HEADER: Roads = [
    //            HTTP   events/in  events/out logs/out task runs worker channel
    /* 3.4.13 */ [Works, Works,     Works,     Works,   Works,    NoClient],
    /* 3.6.29 */ [Works, Works,     Works,     Works,   Works,    NoClient],
    /* 3.8.8  */ [Works, Works,     Works,     Works,   Works,    Works],
];

/// Since 3.8 the auth string is also a header on `/events/in`.
#[rustfmt::skip]
const BY_BOTH: Roads = [
    //            HTTP   events/in  events/out logs/out task runs worker channel
    /* 3.4.13 */ [TWO,   Works,     Works,     Works,   Works,    NoClient],
    /* 3.6.29 */ [TWO,   Works,     Works,     Works,   Works,    NoClient],
    /* 3.8.8  */ [TWO,   TWO,       Works,     Works,   Works,    Works],
];

/// Since 3.6, clients for events and logs request the server's version first.
#[rustfmt::skip]
const NOTHING_SENT: Roads = [
    //            HTTP       events/in  events/out logs/out   task runs  worker channel
    /* 3.4.13 */ [NO_ANSWER, NO_SOCKET, NO_SOCKET, NO_SOCKET, NO_SOCKET, NoClient],
    /* 3.6.29 */ [NO_ANSWER, NO_ANSWER, NO_ANSWER, NO_ANSWER, NO_SOCKET, NoClient],
    /* 3.8.8  */ [NO_ANSWER, NO_ANSWER, NO_ANSWER, NO_ANSWER, NO_SOCKET, NO_CHANNEL],
];

const UNSIGNED: Cell = Fails(
    "closed 1008",
    &Why {
        reason: "This version sends events with its custom headers as the only credential",
        instead: "`PREFECT_CLIENT_CUSTOM_HEADERS`, or Prefect 3.6.29 with `PREFECT_API_AUTH_STRING`",
    },
);
const LEFT_OUT: Cell = Fails(
    "closed 1008",
    &Why {
        reason: "These sockets use `PREFECT_API_KEY` for Prefect Cloud only; the client sends an \
                 empty token",
        instead: "`PREFECT_API_AUTH_STRING=<name>:<secret>`",
    },
);
const TWO: Cell = Fails(
    "HTTP 400",
    &Why {
        reason: "The request carries two credentials, and Lictor does not choose",
        instead: "only one of the two",
    },
);
const NO_CERTIFICATE: Why = Why {
    reason: "Prefect has settings for the CA that the client trusts, but none for a client certificate",
    instead: "a proxy that presents it (such as a service mesh sidecar), or another credential",
};
const NO_SOCKET: Cell = Fails("closed 1008", &NO_CERTIFICATE);
const NO_CHANNEL: Cell = Fails("authentication_failed", &NO_CERTIFICATE);
const NO_ANSWER: Cell = Fails("HTTP 401", &NO_CERTIFICATE);

fn auth_string(secret: &str) -> (&'static str, String) {
    let pair = format!("{MACHINE}:{secret}");
    // The encoded form that the client sends must not appear in any log either.
    let _header = basic(&pair);
    ("PREFECT_API_AUTH_STRING", pair)
}

fn header(name: &str, value: &str) -> (&'static str, String) {
    ("PREFECT_CLIENT_CUSTOM_HEADERS", json!({ name: value }).to_string())
}
