//! The companion in the real pages of both UIs.

use lictor_integration::tools::PREFECT_VERSIONS;
use std::sync::OnceLock;

use serde_json::{Value, json};

use super::in_the_browser::{assert_inside, choose_ui, inside, inside_at, some_runs};
use super::{Story, story};
use crate::browser::Browser;
use crate::gateway::{Gateway, Plan};
use crate::keycloak_admin::allow_callback;
use crate::prefect_client::server;
use crate::sample_data::SampleData;
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

pub fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "it says who is signed in, and never covers what is to be clicked", chip),
        story(ABOUT, "it stands in Prefect 3.4.13's pages, too", oldest).apart(),
        story(ABOUT, "it is opened, read and left by keyboard, and signs out", keyboard),
        story(ABOUT, "a session that ends while a page polls leads back to that page", ended)
            .apart(),
        story(ABOUT, "what somebody has typed is not thrown away", typed).apart(),
        story(ABOUT, "after three times in two minutes it asks", thrice).apart(),
        story(ABOUT, "a form in which nobody has typed does not stop the way back", forms).apart(),
        story(ABOUT, "whoever signs out is not taken back to the page", signing_out).apart(),
        story(ABOUT, "a page of somebody else is loaded again", somebody_else).apart(),
        story(ABOUT, "in a small window it can be read and clicked, too", small),
        story(ABOUT, "a password that an older login left behind is gone", password),
        story(ABOUT, "it can be switched off", off).apart(),
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

/// A control of the page's that lies under the chip, if there is one. Not the companion's own way
/// to look: every control of the page is asked where it is.
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
        for scheme in ["dark", "light"] {
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
    let gateway = Plan::new("companion-oldest").prefect(server(PREFECT_VERSIONS[0]).port).start();
    let origin = gateway.gate.origin();
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

/// Somebody on a page of a gateway that these stories share: each of them ends sessions of its own
/// alone.
fn on_page(path: &str) -> (&'static Gateway, Browser, String) {
    static SHARED: OnceLock<Gateway> = OnceLock::new();
    let gateway = SHARED.get_or_init(|| {
        let gateway = Plan::new("companion").start();
        allow_callback(&gateway.gate.origin());
        gateway
    });
    let origin = gateway.gate.origin();
    let browser = inside_at(&origin, path, "alice");
    (gateway, browser, origin)
}

/// The session is ended elsewhere: the browser loses its cookie.
fn end_session(browser: &Browser, origin: &str) {
    assert!(browser.drop_cookies(origin, "__Host-lictor") > 0);
}

fn ended() {
    let (gateway, browser, origin) = on_page("/");
    for (ui, path) in [("v2", "/v2/runs?flow-run-state=Failed"), ("v1", "/runs?state=Failed")] {
        choose_ui(&browser, ui);
        browser.goto(&format!("{origin}{path}"));
        wait_for_chip(&browser, "Signed in as alice (admin)");
        browser.script("window.before = true");
        end_session(&browser, &origin);
        // The page polls by itself; Keycloak still knows the person and asks nothing.
        browser.wait("the page anew", |browser| is_anew(browser, &origin));
        // The UI writes what else it looks for behind the address that it was given.
        assert!(browser.url().starts_with(&format!("{origin}{path}")), "{}", browser.url());
        wait_for_chip(&browser, "Signed in as alice (admin)");
        assert_inside(&browser, &origin);
    }
    gateway.admin.assert_vm_alive();
}

/// Whether the page that was marked has been loaded again.
fn is_anew(browser: &Browser, origin: &str) -> bool {
    browser.url().starts_with(origin)
        && browser.script("return window.before === undefined") == true
}

/// What stands in the dialog that asks whether the page may be loaded again; empty when there is
/// none.
fn question(browser: &Browser) -> String {
    let script = "const dialog = document.querySelector('lictor-question')?.shadowRoot.querySelector('dialog'); \
                  return dialog?.open ? dialog.innerText : ''";
    browser.script(script).as_str().unwrap_or_default().to_owned()
}

/// The page asks for something, and is told that the session has ended.
fn poll(browser: &Browser) {
    browser.script("return fetch('/api/admin/version').then((answer) => answer.status)");
}

fn typed() {
    const TYPED: &str = "return document.querySelector('[role=dialog] input').value";
    // Without any the page has another button.
    let variable = json!({ "name": format!("typed_{}", std::process::id()), "value": 1 });
    SampleData::make(world().layout.ports.prefect).post("/variables/", &variable);
    let (_, browser, origin) = on_page("/v2/variables");
    let alice = "Signed in as alice (admin)";
    wait_for_chip(&browser, alice);
    browser.script("window.before = true");
    browser.click("button:has(> svg.lucide-plus)");
    browser.fill("[role=dialog] input", "a_long_text");
    // The page takes a click elsewhere for a wish to be done with its dialog; the chip is nowhere
    // else.
    let at = look(
        &browser,
        "const box = chip.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]",
    );
    for hidden in [false, true] {
        browser.click_at(at[0].as_f64().unwrap(), at[1].as_f64().unwrap());
        browser.wait("the card", |browser| look(browser, "return card.hidden") == hidden);
        assert_eq!(browser.script(TYPED), "a_long_text", "the dialog has gone");
    }
    // It has asked a moment ago, and was told that all is well.
    browser.script("document.dispatchEvent(new Event('visibilitychange'))");
    end_session(&browser, &origin);
    poll(&browser);
    browser.wait("the question", |browser| question(browser).contains("Sign in again"));
    browser.picture("companion-question");
    // The page's dialog hides from screen readers what was there before it, and keeps the focus.
    let hidden = "return document.querySelector('lictor-question').closest('[aria-hidden=true]')";
    assert_eq!(browser.script(&format!("{hidden} === null")), true);
    let focused =
        "return document.querySelector('lictor-question').shadowRoot.activeElement?.textContent";
    assert_eq!(browser.script(focused), "Stay on this page", "a press while typing loses nothing");
    for key in ["Escape", "Enter"] {
        browser.press(key);
        browser.wait("the question is put aside", |browser| question(browser).is_empty());
        assert_eq!(browser.script(TYPED), "a_long_text", "{key}");
        // Whoever signs in elsewhere goes on here.
        browser.new_tab();
        browser.goto(&format!("{origin}/v2/settings"));
        wait_for_chip(&browser, alice);
        browser.close_tab();
        browser.tab(0);
        browser.wait("all is well", |browser| {
            browser.script("document.dispatchEvent(new Event('visibilitychange'))");
            browser.script("return document.querySelector('lictor-question') === null") == true
        });
        assert_eq!(look(&browser, "return note.innerText"), "");
        assert_eq!(browser.script(TYPED), "a_long_text");
        end_session(&browser, &origin);
        poll(&browser);
        browser.wait("the question again", |browser| !question(browser).is_empty());
    }
    browser.press("Tab");
    browser.press("Enter");
    browser.wait("the page anew", |browser| is_anew(browser, &origin));
    wait_for_chip(&browser, alice);
}

fn thrice() {
    let (_, browser, origin) = on_page("/v2/settings");
    for time in 0..4 {
        wait_for_chip(&browser, "Signed in as alice (admin)");
        browser.script("window.before = true");
        end_session(&browser, &origin);
        poll(&browser);
        if time < 3 {
            browser.wait("the page anew", |browser| is_anew(browser, &origin));
        }
    }
    browser.wait("the question", |browser| question(browser).contains("Sign in again"));
}

fn forms() {
    let data = SampleData::make(world().layout.ports.prefect);
    let (_, browser, origin) = on_page("/");
    for (ui, prefix) in [("v2", "/v2"), ("v1", "")] {
        choose_ui(&browser, ui);
        browser.goto(&format!("{origin}{prefix}/deployments/deployment/{}/run", data.deployment));
        for typed in [false, true] {
            wait_for_chip(&browser, "Signed in as alice (admin)");
            browser.wait("the form", |browser| browser.has("form input"));
            browser.script("window.before = true");
            if typed {
                browser.script(
                    "[...document.querySelectorAll('form input')].find((field) => field.checkVisibility() && field.type === 'text').focus()",
                );
                browser.type_text("x");
            }
            end_session(&browser, &origin);
            poll(&browser);
            if typed {
                browser.wait("the question", |browser| !question(browser).is_empty());
            } else {
                browser.wait("the page anew", |browser| is_anew(browser, &origin));
            }
        }
        browser.script("document.querySelector('lictor-question').shadowRoot.querySelector('button:last-child').click()");
        browser.wait("the page anew", |browser| is_anew(browser, &origin));
    }
}

fn signing_out() {
    let (_, browser, origin) = on_page("/v2/settings");
    wait_for_chip(&browser, "Signed in as alice (admin)");
    browser.script("window.before = true");
    // It asks once a second at most: now it would at once.
    browser.wait("it has not asked for a second", |browser| {
        browser.script(
            "const asked = performance.getEntriesByType('resource').filter((one) => one.name.endsWith('/oauth2/userinfo')); \
             return asked.length > 0 && performance.now() - asked.at(-1).responseEnd > 1200",
        ) == true
    });
    // The answer to the click takes its time: here it does not come.
    look(
        &browser,
        "chip.click(); const way = card.querySelector('a'); \
         way.addEventListener('click', (event) => event.preventDefault()); way.click()",
    );
    end_session(&browser, &origin);
    for _ in 0..3 {
        poll(&browser);
        assert_eq!(browser.script("return window.before"), true, "taken back");
    }
    // Whoever comes back to the page by the browser's history finds out.
    browser.script("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))");
    browser.wait("the page anew", |browser| is_anew(browser, &origin));
}

fn somebody_else() {
    let (_, browser, origin) = on_page("/v2/settings");
    wait_for_chip(&browser, "Signed in as alice (admin)");
    browser.script("window.before = true");
    browser.new_tab();
    browser.goto(&format!("{origin}/oauth2/sign_out"));
    browser.wait_text("Signed out");
    browser.goto(&format!("{origin}/v2/settings"));
    browser.log_in("bob");
    wait_for_chip(&browser, "Signed in as bob (operator)");
    browser.close_tab();
    browser.tab(0);
    browser.wait("the page anew", |browser| {
        browser.script("document.dispatchEvent(new Event('visibilitychange'))");
        is_anew(browser, &origin)
    });
    wait_for_chip(&browser, "Signed in as bob (operator)");
}

fn small() {
    let origin = world().gate.origin();
    let browser = inside("alice");
    for (width, height) in [(320, 256), (320, 640), (640, 400)] {
        browser.size(width, height);
        for (ui, path) in [("v2", "/v2/settings"), ("v1", "/runs")] {
            choose_ui(&browser, ui);
            browser.goto(&format!("{origin}{path}"));
            wait_for_chip(&browser, "Signed in as alice (admin)");
            look(&browser, "chip.click()");
            browser.wait("the whole card", |browser| {
                look(
                    browser,
                    "const way = card.querySelector('a'); way.scrollIntoView({ block: 'nearest' }); \
                     const box = card.getBoundingClientRect(), out = way.getBoundingClientRect(); \
                     return box.left >= 0 && box.right <= innerWidth && box.top >= 0 && box.bottom <= innerHeight \
                         && out.bottom <= box.bottom && out.top >= box.top",
                ) == true
            });
        }
    }
}

fn password() {
    some_runs(&world().gate);
    let origin = world().gate.origin();
    let browser = inside("alice");
    browser.script("localStorage.setItem('prefect-password', btoa('admin:of-before'))");
    for path in ["/v2/dashboard", "/dashboard"] {
        browser.goto(&format!("{origin}{path}"));
        wait_for_chip(&browser, "Signed in as alice (admin)");
        browser.wait_text("Flow Runs");
        assert_inside(&browser, &origin);
    }
    assert_eq!(browser.script("return localStorage.getItem('prefect-password') === null"), true);
}

fn off() {
    let settings = json!({ "ui": { "companion": false } });
    let gateway = Plan::new("companion-off").patch(settings).start();
    allow_callback(&gateway.gate.origin());
    let browser = inside_at(&gateway.gate.origin(), "/v2/settings", "alice");
    gateway.gate.get("/oauth2/companion.js").expect(404);
    browser.wait_text("Settings");
    assert!(!browser.has("lictor-companion") && !browser.has("script[src*=companion]"));
}
