//! A browser: cookies, and the way through the provider's login.

use std::cell::RefCell;
use std::collections::BTreeMap;

use lictor_host::{Answer, Vm};
use serde_json::Value;

use crate::provider::ISSUER;
use crate::world::{MODULE, NAVIGATION, PUBLIC, Request, World, configuration};

#[derive(Clone, Default)]
pub struct Browser {
    pub cookies: BTreeMap<String, String>,
}

impl Browser {
    pub fn request(&self, method: &str, path: &str, extra: &[(&str, &str)]) -> Request {
        let cookies: Vec<_> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut lines = extra.to_vec();
        if !cookies.is_empty() {
            lines.push(("cookie", &cookies));
        }
        Request::new(method, path, &lines)
    }

    /// Takes over what an answer sets.
    pub fn keep(&mut self, answer: &Answer) {
        for (_, line) in answer.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let line = String::from_utf8(line.clone()).unwrap();
            let (name, rest) = line.split_once('=').unwrap();
            let (value, attributes) = rest.split_once(';').unwrap();
            if attributes.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    /// A page load that is answered here.
    pub fn load(&mut self, world: &mut World, path: &str) -> Option<Answer> {
        let answer = world.answered(&self.request("GET", path, &NAVIGATION))?;
        self.keep(&answer);
        Some(answer)
    }

    /// Loads a page without a session; the callback that the provider sends the browser to.
    pub fn start_login(&mut self, world: &mut World, path: &str) -> Option<String> {
        let answer = self.load(world, path)?;
        let query = answer.header("location")?.strip_prefix(&format!("{ISSUER}/auth?"))?.to_owned();
        let parameter = |name: &str| {
            query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
        };
        world.provider.nonce = parameter("nonce")?.to_owned();
        let state = parameter("state")?;
        let iss = "https%3A%2F%2Fsso.example.com%2Frealms%2Fprefect";
        Some(format!("/oauth2/callback?state={state}&code=planted-code&iss={iss}"))
    }

    /// Logs in; whether that has led to the page.
    pub fn log_in(&mut self, world: &mut World, path: &str) -> Option<()> {
        let callback = self.start_login(world, path)?;
        let answer = self.load(world, &callback)?;
        let there = answer.header("location") == Some(&format!("{PUBLIC}{path}"));
        (there && self.cookies.contains_key("__Host-lictor")).then_some(())
    }

    /// A browser that has logged in already, a moment ago.
    pub fn logged_in(world: &mut World) -> Self {
        Self::logged_in_at(world, &configuration())
    }

    /// The same under other settings.
    pub fn logged_in_at(world: &mut World, settings: &Value) -> Self {
        thread_local! {
            static LOGGED_IN: RefCell<BTreeMap<String, (Vm, Browser)>> = RefCell::default();
        }
        let text = settings.to_string();
        LOGGED_IN.with_borrow_mut(|known| {
            let (vm, browser) = known.entry(text).or_insert_with_key(|text| {
                let (mut world, mut browser) = (World::configured(text), Browser::default());
                world.provider.auth_time = world.now();
                browser.log_in(&mut world, "/").expect("a login");
                (world.vm, browser)
            });
            world.vm = vm.fork(&MODULE);
            world.provider.auth_time = world.now();
            browser.clone()
        })
    }
}
