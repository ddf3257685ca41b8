//! Lictor's own endpoints.

use super::{Story, Who};
use crate::browser::Browser;
use crate::world::{Request, SCRIPT, World, key};

pub const STORIES: &[Story] = &[
    Story::new("verdict for another proxy", verdict)
        .known(&["202"])
        .stranger(&["401 unknown_api_key"]),
    Story::new("verdict on a request of another proxy's", verdict_on_original)
        .known(&["202"])
        .stranger(&["403 role_missing"]),
    Story::new("userinfo", userinfo).known(&["200"]).stranger(&["401 not_authenticated"]),
];

fn verdict(world: &mut World, who: Who) -> Option<()> {
    let key = if who == Who::Known { key("worker") } else { "lk_wrong".to_owned() };
    world.prepared();
    world.decide(&Request::new("GET", "/oauth2/auth", &[("x-api-key", &key)]), None);
    Some(())
}

fn verdict_on_original(world: &mut World, who: Who) -> Option<()> {
    let key = key("viewer");
    let path = if who == Who::Known { "/api/flows/1" } else { "/api/admin/settings" };
    world.prepared();
    let lines = [
        ("x-api-key", key.as_str()),
        ("x-lictor-auth-request-secret", "planted-secret-of-the-proxy-in-front"),
        ("x-original-method", if who == Who::Known { "GET" } else { "DELETE" }),
        ("x-original-uri", path),
        ("x-real-ip", "198.51.100.7"),
    ];
    world.decide(&Request::new("GET", "/oauth2/auth", &lines), None);
    Some(())
}

fn userinfo(world: &mut World, who: Who) -> Option<()> {
    let browser = if who == Who::Known { Browser::logged_in(world) } else { Browser::default() };
    world.prepared();
    world.decide(&browser.request("GET", "/oauth2/userinfo", &SCRIPT), None);
    Some(())
}
