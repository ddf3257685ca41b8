//! The companion in the real pages of both UIs.

use libtest_mimic::Trial;
use lictor_integration::tools::PREFECT_VERSIONS;
use serde_json::{Value, json};

use super::in_the_browser::{assert_inside, choose_ui, inside, inside_at, some_runs};
use super::story;
use crate::browser::Browser;
use crate::keycloak_admin::allow_callback;
use crate::lane::{Lane, Plan};
use crate::prefect_client::gated;
use crate::world::world;

const ABOUT: &str = "companion";
/// Pages of each UI: with a sidebar to its bottom, with tables, with buttons in the corners.
const PAGES: [(&str, &[&str]); 2] = [
    (
        "v2",
        &[
            "/v2/dashboard",
            "/v2/runs",
            "/v2/flows",
            "/v2/deployments",
            "/v2/blocks",
            "/v2/settings",
        ],
    ),
    ("v1", &["/dashboard", "/runs", "/flows", "/deployments", "/blocks", "/settings"]),
];

pub fn stories() -> Vec<Trial> {
    vec![
        story(ABOUT, "it says who is signed in, and never covers what is to be clicked", chip),
        story(ABOUT, "it stands in Prefect 3.4.13's pages, too", oldest),
        story(ABOUT, "it is opened, read and left by keyboard, and signs out", keyboard),
        story(ABOUT, "a session that ends while a page polls leads back to that page", ended),
        story(ABOUT, "what somebody has typed is not thrown away", typed),
        story(ABOUT, "a password that an older login left behind is gone", password),
        story(ABOUT, "it can be switched off", off),
    ]
}

/// What is in the companion's own tree.
fn look(browser: &Browser, script: &str) -> Value {
    browser.script(&format!(
        "const root = document.querySelector('lictor-companion')?.shadowRoot; \
         const chip = root?.querySelector('.chip'), card = root?.querySelector('.card'), \
         note = root?.querySelector('.note'); {script}"
    ))
}

/// Waits until the chip says so.
pub fn wait_for_chip(browser: &Browser, person: &str) {
    browser.wait("the chip", |browser| {
        look(browser, "return chip && !chip.hidden && chip.title") == person
    });
}

/// A control of the page's that lies under the chip, if there is one. Not the companion's own way to look:
/// every control of the page is asked where it is.
const COVERED: &str = "
    const seen = getComputedStyle(chip).visibility === 'visible';
    const box = chip.getBoundingClientRect();
    const clicked = 'a[href],button,input,select,textarea,[role=button],[role=tab],[role=switch],[role=combobox]';
    const over = [...document.querySelectorAll(clicked)].filter((one) => one.checkVisibility({visibilityProperty: true, opacityProperty: true}))
        .filter((one) => { const b = one.getBoundingClientRect(); return b.width > 1 && b.height > 1
            && b.left < box.right && b.right > box.left && b.top < box.bottom && b.bottom > box.top; })
        .filter((one) => { const b = one.getBoundingClientRect();
            const x = (Math.max(b.left, box.left) + Math.min(b.right, box.right)) / 2, y = (Math.max(b.top, box.top) + Math.min(b.bottom, box.bottom)) / 2;
            const under = document.elementsFromPoint(x, y).find((e) => e.localName !== 'lictor-companion');
            return under && (one === under || one.contains(under)); });
    return {seen, over: over.map((one) => one.outerHTML.slice(0, 120)), at: [box.left, box.top, box.width, box.height],
        inside: box.left >= 0 && box.top >= 0 && box.right <= innerWidth && box.bottom <= innerHeight};";

#[track_caller]
fn assert_covers_nothing(browser: &Browser, place: &str) {
    // The page may move under it; it moves away within a moment.
    browser.wait(&format!("a place for the chip: {place}"), |browser| {
        let seen = look(browser, COVERED);
        let free = seen["over"].as_array().is_some_and(Vec::is_empty);
        free && seen["inside"] == true && seen["seen"] == true
    });
}

fn chip() {
    some_runs(&world().gate);
    let origin = world().gate.origin();
    let browser = inside("alice");
    for (ui, pages) in PAGES {
        choose_ui(&browser, ui);
        for path in pages {
            browser.goto(&format!("{origin}{path}"));
            wait_for_chip(&browser, "Signed in as alice (admin)");
            assert_inside(&browser, &origin);
            for scroll in ["0", "200", "99999"] {
                browser.script(&format!(
                    "for (const one of [document.scrollingElement, ...document.querySelectorAll('main, main *')]) \
                     if (one.scrollHeight > one.clientHeight) one.scrollTop = {scroll}"
                ));
                assert_covers_nothing(&browser, &format!("{path}, scrolled by {scroll}"));
            }
        }
        let start = format!("{origin}{}", pages[0]);
        for scheme in ["light", "dark"] {
            browser.scheme(scheme);
            browser.goto(&start);
            wait_for_chip(&browser, "Signed in as alice (admin)");
            browser.wait_text("Flow Runs");
            look(&browser, "chip.click()");
            let dark =
                "return document.querySelector('lictor-companion').classList.contains('dark')";
            // v1 is as it was switched last, whatever the system says.
            if ui == "v2" {
                browser.wait("its colours", |browser| look(browser, dark) == (scheme == "dark"));
            }
            browser.picture(&format!("companion-{ui}-{scheme}"));
        }
    }
}

fn oldest() {
    let old = gated(PREFECT_VERSIONS[0]);
    let origin = old.lane.gate.origin();
    allow_callback(&origin);
    let browser = inside_at(&origin, "/", "bob");
    for path in ["/dashboard", "/flow-runs", "/settings"] {
        browser.goto(&format!("{origin}{path}"));
        wait_for_chip(&browser, "Signed in as bob (operator)");
        assert_covers_nothing(&browser, path);
    }
    assert_inside(&browser, &origin);
}

fn keyboard() {
    let origin = world().gate.origin();
    let browser = inside("carol");
    browser.goto(&format!("{origin}/v2/settings"));
    wait_for_chip(&browser, "Signed in as carol (viewer)");
    look(&browser, "chip.focus()");
    browser.press("Enter");
    let state = "return [card.hidden, chip.ariaExpanded, root.activeElement?.textContent]";
    browser.wait("the card", |browser| look(browser, state)[0] == false);
    assert!(look(&browser, "return card.innerText").to_string().contains("Role: viewer"));
    browser.press("Escape");
    browser.wait("the card is closed", |browser| look(browser, state)[0] == true);
    browser.press("Enter");
    browser.press("Tab");
    browser.wait("the way out", |browser| look(browser, state)[2] == "Sign out");
    browser.press("Enter");
    browser.wait_text("Signed out");
}

/// A gate of its own, and somebody on one of its pages.
fn on_page(name: &'static str, path: &str, settings: &Value) -> (Lane, Browser, String) {
    let lane = Plan::new(name).patch(settings.clone()).start();
    let origin = lane.gate.origin();
    allow_callback(&origin);
    let browser = inside_at(&origin, path, "alice");
    (lane, browser, origin)
}

/// The session is ended elsewhere: the browser loses its cookie.
fn end_session(browser: &Browser, origin: &str) {
    assert!(browser.drop_cookies(origin, "__Host-lictor") > 0);
}

fn ended() {
    let (lane, browser, origin) = on_page("companion-ended", "/", &json!({}));
    for (ui, path) in [("v2", "/v2/runs?flow-run-state=Failed"), ("v1", "/runs?state=Failed")] {
        choose_ui(&browser, ui);
        browser.goto(&format!("{origin}{path}"));
        wait_for_chip(&browser, "Signed in as alice (admin)");
        browser.script("window.before = true");
        end_session(&browser, &origin);
        // The page polls by itself; Keycloak still knows the person and asks nothing.
        browser.wait("the page anew", |browser| {
            browser.url().starts_with(&origin) && browser.script("return window.before").is_null()
        });
        // The UI writes what else it looks for behind the address that it was given.
        assert!(browser.url().starts_with(&format!("{origin}{path}")), "{}", browser.url());
        wait_for_chip(&browser, "Signed in as alice (admin)");
        assert_inside(&browser, &origin);
    }
    lane.admin.assert_vm_alive();
}

fn typed() {
    let (_lane, browser, origin) = on_page("companion-typed", "/v2/variables", &json!({}));
    wait_for_chip(&browser, "Signed in as alice (admin)");
    browser.script(
        "document.body.insertAdjacentHTML('beforeend', '<form><textarea id=typed></textarea></form>')",
    );
    browser.fill("#typed", "a long text");
    // It has asked a moment ago, and was told that all is well.
    browser.script("document.dispatchEvent(new Event('visibilitychange'))");
    end_session(&browser, &origin);
    browser.script("fetch('/api/admin/version')");
    browser.wait("the question", |browser| {
        look(browser, "return note.innerText").to_string().contains("Sign in again")
    });
    assert_eq!(browser.script("return document.getElementById('typed').value"), "a long text");
    look(&browser, "note.querySelector('button').click()");
    browser.wait("the page anew", |browser| {
        !browser.has("#typed") && browser.url().starts_with(&origin)
    });
    wait_for_chip(&browser, "Signed in as alice (admin)");
}

fn password() {
    let origin = world().gate.origin();
    let browser = inside("alice");
    browser.script("localStorage.setItem('prefect-password', btoa('admin:of-before'))");
    for path in ["/v2/dashboard", "/dashboard"] {
        browser.goto(&format!("{origin}{path}"));
        wait_for_chip(&browser, "Signed in as alice (admin)");
        assert_inside(&browser, &origin);
    }
    assert!(browser.script("return localStorage.getItem('prefect-password')").is_null());
}

fn off() {
    let settings = json!({ "ui": { "companion": false } });
    let (lane, browser, _) = on_page("companion-off", "/v2/settings", &settings);
    lane.gate.get("/oauth2/companion.js").expect(404);
    browser.wait_text("Settings");
    assert!(!browser.has("lictor-companion") && !browser.has("script[src*=companion]"));
}
