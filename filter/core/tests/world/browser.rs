//! A browser: cookies, Fetch Metadata, and the way through the provider's login page.

use std::collections::BTreeMap;

use crate::answer::reply::Reply;
use crate::wire::http::edit::HeaderEdit;
use crate::wire::http::query::only;

use super::{Headers, Outcome, World, reply_header, request};

#[derive(Clone, Default)]
pub struct Browser {
    pub cookies: BTreeMap<String, String>,
}

pub const NAVIGATION: [(&str, &str); 3] =
    [("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
pub const SCRIPT: [(&str, &str); 3] =
    [("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")];

/// A form that a page of ours sends.
pub const FORM_POST: [(&str, &str); 4] = [
    ("sec-fetch-site", "same-origin"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
    ("origin", super::PUBLIC),
];

impl World {
    /// Somebody who has logged in.
    pub fn log_in(&mut self) -> Browser {
        let mut browser = Browser::default();
        browser.log_in(self, "/");
        browser
    }

    pub fn log_in_many(&mut self, count: usize) -> Vec<Browser> {
        (0..count).map(|_| self.log_in()).collect()
    }
}

impl Browser {
    pub fn cookie_header(&self) -> String {
        self.cookies.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join("; ")
    }

    pub fn headers(&self, method: &str, path: &str, extra: &[(&str, &str)]) -> Headers {
        let cookies = self.cookie_header();
        let mut lines = extra.to_vec();
        if !cookies.is_empty() {
            lines.push(("cookie", &cookies));
        }
        request(method, path, &lines)
    }

    /// Takes over what an answer sets.
    pub fn keep(&mut self, reply: &Reply) {
        for (_, line) in reply.headers().iter().filter(|(name, _)| *name == "set-cookie") {
            self.keep_line(line);
        }
    }

    pub fn keep_line(&mut self, line: impl AsRef<[u8]>) {
        let line = core::str::from_utf8(line.as_ref()).unwrap();
        let (name, rest) = line.split_once('=').unwrap();
        let (value, attributes) = rest.split_once(';').unwrap();
        assert!(attributes.contains("Secure") && attributes.contains("HttpOnly"), "{line}");
        assert!(attributes.contains("SameSite=Lax") && attributes.contains("Path=/"), "{line}");
        assert!(!attributes.to_lowercase().contains("domain"), "{line}");
        if attributes.contains("Max-Age=0") {
            self.cookies.remove(name);
        } else {
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }

    /// A page load.
    pub fn load(&mut self, world: &mut World, path: &str) -> Outcome {
        let headers = self.headers("GET", path, &NAVIGATION);
        let (_, outcome) = world.request(&headers);
        if let Outcome::Reply(reply) = &outcome {
            self.keep(reply);
        }
        outcome
    }

    /// A script's request.
    pub fn fetch(&mut self, world: &mut World, method: &str, path: &str) -> Outcome {
        let headers = self.headers(method, path, &SCRIPT);
        let (_, outcome) = world.request(&headers);
        if let Outcome::Reply(reply) = &outcome {
            self.keep(reply);
        }
        outcome
    }

    /// A script's request to Prefect's API, as a page that polls sends it.
    pub fn asks(&self) -> Headers {
        self.headers("GET", "/api/flows/1", &SCRIPT)
    }

    /// Whether the session counts. The browser keeps nothing of what is set.
    pub fn counts(&self, world: &mut World) -> bool {
        matches!(world.request(&self.asks()).1, Outcome::Forwarded(_))
    }

    /// The same request, and Prefect's answer to it. The browser keeps what is set; gives the
    /// status.
    pub fn poll(&mut self, world: &mut World) -> u16 {
        let (mut gate, outcome) = world.request(&self.asks());
        match outcome {
            Outcome::Forwarded(_) => self.keep_edit(&world.answer(&mut gate, "200")),
            Outcome::Reply(ref reply) => self.keep(reply),
            ref other => panic!("{other:?}"),
        }
        outcome.status()
    }

    /// Takes over what is set with an answer of Prefect's.
    pub fn keep_edit(&mut self, edit: &HeaderEdit) {
        for (_, line) in edit.add.iter().filter(|(name, _)| *name == "set-cookie") {
            self.keep_line(line);
        }
    }

    /// Loads a page without a session; gives the callback that the provider would send it to.
    pub fn start_login(&mut self, world: &mut World, path: &str) -> String {
        let reply = self.load(world, path).reply();
        assert_eq!(reply.status, 302, "{path}");
        Self::callback_of(world, &reply)
    }

    /// The callback to which the provider sends a browser that a reply sends there.
    pub fn callback_of(world: &mut World, reply: &Reply) -> String {
        let location = reply_header(reply, "location").unwrap();
        let (endpoint, query) = location.split_once('?').unwrap();
        assert_eq!(endpoint, world.idp.authorization);
        let parameter = |name: &str| only(query, name).unwrap().unwrap().into_owned();
        assert_eq!(parameter("code_challenge_method"), "S256");
        assert_eq!(parameter("redirect_uri"), format!("{}/oauth2/callback", super::PUBLIC));
        world.idp.nonce = parameter("nonce");
        let iss = crate::wire::http::query::encode_value(&world.idp.issuer);
        format!("/oauth2/callback?state={}&code=planted-code&iss={iss}", parameter("state"))
    }

    /// Whether a page load is answered by one more login, and by no session.
    pub fn is_sent_to_the_provider(&mut self, world: &mut World, path: &str) -> bool {
        let reply = self.load(world, path).reply();
        let to = reply_header(&reply, "location").unwrap_or_default();
        let provider = format!("{}/auth?", super::ISSUER);
        reply.status == 302 && to.starts_with(&provider) && self.session().is_none()
    }

    /// Logs in; gives where the browser ends.
    pub fn log_in(&mut self, world: &mut World, path: &str) -> String {
        let callback = self.start_login(world, path);
        let reply = self.load(world, &callback).reply();
        assert_eq!(reply.status, 302, "{}", String::from_utf8_lossy(&reply.body));
        reply_header(&reply, "location").unwrap().to_owned()
    }

    pub fn session(&self) -> Option<&String> {
        self.cookies.get("__Host-lictor")
    }
}
