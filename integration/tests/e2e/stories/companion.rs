//! The companion in the real pages of both UIs.

use libtest_mimic::Trial;

use super::in_the_browser::{inside, some_runs};
use super::story;
use crate::world::world;

const ABOUT: &str = "companion";

pub fn stories() -> Vec<Trial> {
    vec![story(ABOUT, "look", look)]
}

fn look() {
    some_runs(&world().gate);
    let origin = world().gate.origin();
    let browser = inside("alice");
    for (ui, paths) in [
        ("v2", ["/v2/dashboard", "/v2/runs", "/v2/settings", "/v2/deployments"]),
        ("v1", ["/dashboard", "/runs", "/settings", "/deployments"]),
    ] {
        browser.script(&format!("document.cookie = 'prefect_ui_version={ui}; path=/'"));
        for scheme in ["light", "dark"] {
            browser.scheme(scheme);
            for path in paths {
                browser.goto(&format!("{origin}{path}"));
                std::thread::sleep(std::time::Duration::from_secs(4));
                browser.picture(&format!("look-{ui}-{scheme}{}", path.replace('/', "-")));
            }
        }
    }
}
