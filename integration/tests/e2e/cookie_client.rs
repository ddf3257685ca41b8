//! Somebody with a browser's cookie jar, by plain HTTP.

use std::collections::BTreeMap;

use crate::canary;
use crate::client::{Gate, Request};
use crate::http1::Answer;
use crate::world::world;

/// Name of Lictor's session cookie.
pub const SESSION: &str = "__Host-lictor";
/// What the names of its login cookies begin with.
pub const LOGIN: &str = "__Host-lictor-login-";

/// Cookies by name.
#[derive(Clone, Debug, Default)]
pub struct Jar(pub BTreeMap<String, String>);

impl Jar {
    /// Takes over what an answer sets and clears. Every value is a secret for [`canary`].
    pub fn absorb(&mut self, answer: &Answer) {
        for line in answer.all("set-cookie") {
            let cookie = SetCookie::parse(line);
            if cookie.is_cleared() {
                self.0.remove(&cookie.name);
            } else {
                canary::plant(&cookie.value);
                self.0.insert(cookie.name, cookie.value);
            }
        }
    }

    /// The `Cookie` header.
    pub fn header(&self) -> Option<String> {
        let pairs: Vec<String> = self.0.iter().map(|(n, v)| format!("{n}={v}")).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    /// Names that begin so.
    pub fn names(&self, prefix: &str) -> Vec<&str> {
        self.0.keys().map(String::as_str).filter(|name| name.starts_with(prefix)).collect()
    }
}

/// One `Set-Cookie` line.
#[derive(Debug)]
pub struct SetCookie {
    pub name: String,
    pub value: String,
    /// Lower case.
    pub attributes: Vec<String>,
}

impl SetCookie {
    pub fn parse(line: &str) -> Self {
        let mut parts = line.split(';').map(str::trim);
        let (name, value) = parts.next().and_then(|pair| pair.split_once('=')).unwrap();
        Self {
            name: name.to_owned(),
            value: value.to_owned(),
            attributes: parts.map(str::to_ascii_lowercase).collect(),
        }
    }

    pub fn has(&self, attribute: &str) -> bool {
        self.attributes.iter().any(|own| own == attribute)
    }

    pub fn is_cleared(&self) -> bool {
        self.has("max-age=0") || self.value.is_empty()
    }
}

/// A person at one Envoy, with the cookies of Prefect's name and of Keycloak's apart.
#[derive(Clone)]
pub struct CookieClient {
    pub gate: Gate,
    pub jar: Jar,
    pub keycloak: Jar,
    /// The Envoy that leads to Keycloak: the main stack's, unless a gateway has a Keycloak of its
    /// own.
    pub to_keycloak: Gate,
}

impl CookieClient {
    pub fn new(gate: &Gate) -> Self {
        Self {
            gate: gate.clone(),
            jar: Jar::default(),
            keycloak: Jar::default(),
            to_keycloak: world().gate.clone(),
        }
    }

    /// Sends a request with the cookies, and keeps those that come back.
    #[track_caller]
    pub fn send(&mut self, mut request: Request) -> Answer {
        if let Some(cookies) = self.jar.header() {
            request = request.header("cookie", cookies);
        }
        let answer = self.gate.send(&request);
        self.jar.absorb(&answer);
        answer
    }

    /// Loads a page by hand.
    #[track_caller]
    pub fn navigate(&mut self, target: &str) -> Answer {
        self.send(Request::get(target).navigation())
    }

    /// A script of Prefect's pages gets something.
    #[track_caller]
    pub fn fetch(&mut self, target: &str) -> Answer {
        self.send(Request::get(target).fetch())
    }

    /// A script of Prefect's pages posts JSON.
    #[track_caller]
    pub fn post(&mut self, target: &str, body: &str) -> Answer {
        let origin = self.gate.origin();
        self.send(Request::post(target, body).fetch().header("origin", origin))
    }

    /// The session cookie's value.
    #[track_caller]
    pub fn session(&self) -> String {
        self.jar.0.get(SESSION).cloned().expect("no session cookie")
    }
}
