//! A certified provider that is not Keycloak (npm `oidc-provider`), started for the stories about
//! it, and the way of a person through its pages.

use std::fs;
use std::time::Duration;

use lictor_integration::cache::Cache;
use lictor_integration::launch::Launch;
use lictor_integration::npm;
use lictor_integration::ports::Ports;
use lictor_integration::process::Running;
use lictor_integration::ready;
use serde_json::Value;
use url::Url;

use crate::canary;
use crate::client::{Request, plain};
use crate::clock::starting;
use crate::cookie_client::CookieClient;
use crate::http1::Answer;
use crate::keycloak_login::path_of;
use crate::world::{new_layout, progress, stop, world};

const PART: &str = "oidc-provider";

/// A running one. Dropping it ends it.
pub struct OidcProvider {
    pub port: u16,
    running: Running,
}

impl OidcProvider {
    /// Starts it with these settings of the script's, in a folder of its own.
    pub fn start(name: &str, port: u16, settings: Value) -> Self {
        starting(|| Self::started(name, port, settings))
    }

    fn started(name: &str, port: u16, mut settings: Value) -> Self {
        let layout = new_layout(&format!("{name}-{PART}"), Ports::unused().unwrap());
        let installed =
            npm::oidc_provider(&layout, &Cache::of_user().unwrap(), &progress()).unwrap();
        // A module finds its packages beside itself.
        let script = layout.state.join("server.mjs");
        let source = layout.checkout.join("integration/oidc-provider/server.mjs");
        fs::copy(source, &script).unwrap();
        let packages = layout.state.join("node_modules");
        std::os::unix::fs::symlink(installed.join("node_modules"), packages).unwrap();
        settings["issuer"] = Self::issuer_at(port).into();
        settings["port"] = port.into();
        let launch = Launch {
            part: PART,
            program: "node".into(),
            args: vec![script.to_string_lossy().into_owned()],
            env: vec![
                ("OIDC_PROVIDER".to_owned(), settings.to_string()),
                // It calls Lictor itself (back-channel logout).
                ("NODE_EXTRA_CA_CERTS".to_owned(), world().pki.ca.to_string_lossy().into_owned()),
            ],
            folder: layout.state.clone(),
            inputs: Vec::new(),
        };
        let running = launch.start(&layout).unwrap();
        ready::wait(&running, Duration::from_secs(30), &progress(), || {
            let metadata = Request::get("/.well-known/openid-configuration");
            match plain(port, &metadata) {
                Ok(answer) if answer.status == 200 => Ok(()),
                other => Err(format!("its metadata; {other:?}")),
            }
        })
        .unwrap_or_else(|e| panic!("{e}"));
        Self { port, running }
    }

    pub fn issuer_at(port: u16) -> String {
        format!("http://127.0.0.1:{port}")
    }

    pub fn issuer(&self) -> String {
        Self::issuer_at(self.port)
    }

    /// What its token endpoint has answered, in order.
    pub fn grants(&self) -> Vec<Value> {
        let log = fs::read_to_string(self.running.log()).unwrap();
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// How many refresh tokens were redeemed. A refused one fails the test: it was spent before, or
    /// the client was not believed.
    #[track_caller]
    pub fn refreshes(&self) -> usize {
        let grants = self.grants();
        let refused: Vec<_> = grants.iter().filter(|grant| grant.get("error").is_some()).collect();
        assert!(refused.is_empty(), "{refused:?}");
        grants.iter().filter(|grant| grant["grant"] == "refresh_token").count()
    }

    /// What it asks first of somebody who is sent there: `login`, or only `consent`.
    #[track_caller]
    pub fn asks(&self, visitor: &mut CookieClient, authorization: &str) -> &'static str {
        let mut answer = self.send(visitor, Request::get(path_of(authorization)));
        while answer.status != 200 {
            answer = self.send(visitor, Request::get(self.path(answer.location())));
        }
        prompt(&form(&answer.text()).1)
    }

    /// From the provider's address to the callback's, for somebody who is logged in there.
    #[track_caller]
    pub fn no_question(&self, visitor: &mut CookieClient, authorization: &str) -> String {
        let answer = self.send(visitor, Request::get(path_of(authorization)));
        let location = answer.location().to_owned();
        assert!(location.starts_with(&visitor.gate.origin()), "sent elsewhere: {location}");
        plant(&location);
        path_of(&location)
    }

    /// From the provider's address to the callback's: whoever asks logs in under this name and
    /// agrees.
    #[track_caller]
    pub fn authenticate(
        &self,
        visitor: &mut CookieClient,
        authorization: &str,
        name: &str,
    ) -> String {
        assert!(authorization.starts_with(&self.issuer()), "{authorization}");
        let mut answer = self.send(visitor, Request::get(path_of(authorization)));
        // Login, consent, and the redirects between them.
        for _ in 0..12 {
            let next = if answer.status == 200 {
                let (action, fields) = form(&answer.text());
                let body = format!("prompt={}&login={name}&password=any", prompt(&fields));
                Request::new("POST", self.path(&action)).form(&body)
            } else {
                let location = answer.location().to_owned();
                if location.starts_with(&visitor.gate.origin()) {
                    plant(&location);
                    return path_of(&location);
                }
                Request::get(self.path(&location))
            };
            answer = self.send(visitor, next);
        }
        panic!("no way back: {} {}", answer.status, answer.text());
    }

    /// Its own logout: the person is asked, and says yes; gives where it leads.
    #[track_caller]
    pub fn sign_out(&self, visitor: &mut CookieClient, path: &str) -> Answer {
        let page = self.send(visitor, Request::get(path)).expect(200);
        let html = page.text();
        let (action, _) = form(&html);
        let secret = html.split("name=\"xsrf\" value=\"").nth(1).expect("no xsrf field");
        let secret = secret.split('"').next().unwrap();
        let body = format!("xsrf={secret}&logout=yes");
        self.send(visitor, Request::new("POST", self.path(&action)).form(&body))
    }

    fn send(&self, visitor: &mut CookieClient, request: Request) -> Answer {
        let mut request = request.host(format!("127.0.0.1:{}", self.port));
        if let Some(cookies) = visitor.keycloak.header() {
            request = request.header("cookie", cookies);
        }
        let answer = plain(self.port, &request).unwrap();
        visitor.keycloak.absorb(&answer);
        answer
    }

    /// Path and query of a link of its pages, absolute or not.
    fn path(&self, link: &str) -> String {
        let base = Url::parse(&self.issuer()).unwrap();
        path_of(base.join(&link.replace("&amp;", "&")).unwrap().as_str())
    }
}

impl Drop for OidcProvider {
    fn drop(&mut self) {
        stop(&self.running);
    }
}

/// A page's form: where it leads, and what is in it.
#[track_caller]
fn form(html: &str) -> (String, String) {
    let form = html.split("<form").nth(1).unwrap_or_else(|| panic!("no form: {html}"));
    let action = form.split("action=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    (action.to_owned(), form.to_owned())
}

/// What a form of its pages asks for.
fn prompt(fields: &str) -> &'static str {
    if fields.contains("value=\"login\"") { "login" } else { "consent" }
}

fn plant(callback: &str) {
    for (name, value) in Url::parse(callback).unwrap().query_pairs() {
        if matches!(&*name, "code" | "state") {
            canary::plant(&value);
        }
    }
}
