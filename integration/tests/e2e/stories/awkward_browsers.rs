//! What browsers and people do in the middle of a login: whatever it is, it ends inside Prefect, or
//! on a page with a way on that does.

use std::time::{Duration, Instant};

use lictor_integration::secrets::Secrets;
use serde_json::json;

use super::in_the_browser::{assert_inside, inside};
use super::pages::assert_good;
use super::{Story, story};
use crate::browser::Browser;
use crate::canary;
use crate::client::Gate;
use crate::cookie_client::{CookieClient, LOGIN, SESSION};
use crate::gateway::Plan;
use crate::interruptible::Interruptible;
use crate::keycloak_admin::{admin, allow_callback};
use crate::keycloak_login::{authenticate, callback_request};
use crate::world::{eventually, world};

const ABOUT: &str = "awkward";

pub fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "back to the login form, and forward by it again", back),
        story(ABOUT, "a reload at the form, and of the page it led to", reload),
        story(ABOUT, "a browser that is closed at the form and opened again", restored_form),
        story(ABOUT, "a browser that is closed inside and opened again", restored_inside),
        story(ABOUT, "two tabs log in at once, both by the form", two_tabs),
        story(ABOUT, "two tabs log in at once, the second one by a reload", two_tabs_reload),
        story(ABOUT, "the form is sent when the attempt is long over", late),
        story(ABOUT, "ten tabs at the form, of which the first one goes on", ten_tabs),
        story(ABOUT, "a form past its time, after a login in another tab", expired_form)
            .changing_realm(),
        story(ABOUT, "Envoy restarts with another key while the form is shown", new_key)
            .own_provider(),
        story(ABOUT, "the provider is away when the form is sent, and comes back", provider_away)
            .own_provider(),
        story(ABOUT, "a bookmarked callback, with a session and without one", bookmark),
        story(ABOUT, "callbacks that fail again and again end on a page with a way on", login_loop),
    ]
}

/// Wherever the browser is on its way: it gets to Prefect, by the login form if that is shown, and
/// the session counts.
#[track_caller]
fn wait_inside(browser: &Browser, user: &str) {
    wait_inside_of(&world().gate, browser, user);
}

#[track_caller]
fn wait_inside_of(gate: &Gate, browser: &Browser, user: &str) {
    let origin = gate.origin();
    browser.wait("the way into Prefect", |browser| {
        // Keycloak's own script may lead on while somebody types.
        let typed = browser.has("#kc-form-login") && browser.try_log_in(user);
        !typed && is_ours(browser, &origin)
    });
    assert_inside(browser, &origin);
    assert_session(browser, user);
}

/// A page of Prefect's or of Lictor's is shown, no longer on the way to another.
fn is_ours(browser: &Browser, origin: &str) -> bool {
    browser.script("return document.readyState") == "complete"
        && browser.url().starts_with(origin)
        && !browser.text().is_empty()
}

/// What is shown now is Prefect's, for this person.
#[track_caller]
fn assert_session(browser: &Browser, user: &str) {
    assert!(!browser.has("main > h1 + p"), "a page of our own: {}", browser.text());
    let told = browser.script(
        "const ask = new XMLHttpRequest(); ask.open('GET', '/oauth2/userinfo', false); ask.send(); \
         return [ask.status, ask.responseText]",
    );
    assert_eq!(told[0], 200, "no session: {told}");
    assert!(
        told[1].as_str().unwrap().contains(&format!("\"preferredUsername\":\"{user}\"")),
        "{told}"
    );
}

/// At Keycloak's form, on the way to a path.
fn at_the_form(browser: &Browser, path: &str) -> String {
    at_the_form_of(&world().gate, browser, path)
}

fn at_the_form_of(gate: &Gate, browser: &Browser, path: &str) -> String {
    browser.goto(&format!("{}{path}", gate.origin()));
    browser.wait("Keycloak's form", |browser| browser.has("#kc-form-login"));
    browser.url()
}

/// A callback that has been used, of somebody's login in another browser.
fn used_callback() -> String {
    let gate = &world().gate;
    let mut visitor = CookieClient::new(gate);
    let asked = visitor.navigate("/runs").expect(302);
    let callback = authenticate(&mut visitor, asked.location(), "alice");
    visitor.send(callback_request(&callback)).expect(302);
    format!("{}{callback}", gate.origin())
}

fn back() {
    let origin = world().gate.origin();
    let browser = Browser::open();
    at_the_form(&browser, "/v2/flows");
    browser.log_in("alice");
    browser
        .wait("the deep link", |browser| browser.url().starts_with(&format!("{origin}/v2/flows")));
    assert_inside(&browser, &origin);
    // Keycloak's form as the browser has kept it, or what Keycloak says now.
    browser.back();
    wait_inside(&browser, "alice");
    browser.forward();
    wait_inside(&browser, "alice");
}

fn reload() {
    let origin = world().gate.origin();
    let browser = Browser::open();
    at_the_form(&browser, "/v2/flows");
    browser.reload();
    browser.reload();
    browser.wait("Keycloak's form", |browser| browser.has("#kc-form-login"));
    browser.log_in("alice");
    browser
        .wait("the deep link", |browser| browser.url().starts_with(&format!("{origin}/v2/flows")));
    browser.reload();
    wait_inside(&browser, "alice");
    assert!(browser.url().starts_with(&format!("{origin}/v2/flows")), "{}", browser.url());
}

/// The tab that was restored, among those with which the browser has opened.
#[track_caller]
fn to_restored_tab(browser: &Browser) {
    let keycloak = world().layout.issuer();
    let origin = world().gate.origin();
    browser.wait("the restored tab", |browser| {
        (0..browser.tabs()).any(|at| {
            browser.tab(at);
            let url = browser.url();
            url.starts_with(&keycloak) || url.starts_with(&origin)
        })
    });
}

fn restored_form() {
    let browser = Browser::with_profile("restored-form");
    at_the_form(&browser, "/v2/flows");
    drop(browser);
    let browser = Browser::with_profile("restored-form");
    to_restored_tab(&browser);
    wait_inside(&browser, "alice");
}

fn restored_inside() {
    let origin = world().gate.origin();
    let browser = Browser::with_profile("restored-inside");
    at_the_form(&browser, "/v2/flows");
    browser.log_in("alice");
    browser
        .wait("the deep link", |browser| browser.url().starts_with(&format!("{origin}/v2/flows")));
    assert_inside(&browser, &origin);
    drop(browser);
    let browser = Browser::with_profile("restored-inside");
    to_restored_tab(&browser);
    wait_inside(&browser, "alice");
    assert!(browser.url().starts_with(&format!("{origin}/v2/flows")), "{}", browser.url());
}

/// Two tabs at the form; the second one logs in, and the first one is in front again.
fn two_at_the_form() -> Browser {
    let origin = world().gate.origin();
    let browser = Browser::open();
    // Keycloak's own script would lead the first one on before a person can be faster.
    browser.allow_scripts(false);
    at_the_form(&browser, "/v2/flows");
    browser.new_tab();
    at_the_form(&browser, "/v2/deployments");
    browser.log_in("alice");
    browser.wait("the second deep link", |browser| {
        browser.url().starts_with(&format!("{origin}/v2/deployments"))
    });
    assert_inside(&browser, &origin);
    browser.tab(0);
    browser
}

fn two_tabs() {
    let browser = two_at_the_form();
    browser.log_in("alice");
    let flows = format!("{}/v2/flows", world().gate.origin());
    browser.wait("the first deep link", |browser| browser.url().starts_with(&flows));
    browser.allow_scripts(true);
    browser.reload();
    wait_inside(&browser, "alice");
}

fn two_tabs_reload() {
    let browser = two_at_the_form();
    browser.allow_scripts(true);
    browser.reload();
    wait_inside(&browser, "alice");
    let flows = format!("{}/v2/flows", world().gate.origin());
    assert!(browser.url().starts_with(&flows), "the deep link is lost: {}", browser.url());
}

fn late() {
    let origin = world().gate.origin();
    let browser = Browser::open();
    at_the_form(&browser, "/v2/flows");
    // After half an hour the browser itself drops it.
    assert_eq!(browser.drop_cookies(&origin, LOGIN), 1);
    browser.log_in("alice");
    wait_at(&browser, "/v2/flows");
}

/// The page that was asked for, inside Prefect.
#[track_caller]
fn wait_at(browser: &Browser, path: &str) {
    wait_at_of(&world().gate, browser, path);
}

#[track_caller]
fn wait_at_of(gate: &Gate, browser: &Browser, path: &str) {
    let asked = format!("{}{path}", gate.origin());
    browser.wait("the page that was asked for", |browser| browser.url().starts_with(&asked));
    wait_inside_of(gate, browser, "alice");
    assert!(browser.url().starts_with(&asked), "{}", browser.url());
}

/// The same after a login without scripts. Prefect's page needs them.
#[track_caller]
fn wait_at_without_scripts(browser: &Browser, path: &str) {
    let asked = format!("{}{path}", world().gate.origin());
    browser.wait("the page that was asked for", |browser| browser.url().starts_with(&asked));
    browser.allow_scripts(true);
    browser.reload();
    wait_at(browser, path);
}

/// A browser keeps five attempts. The others' callbacks find no cookie.
fn ten_tabs() {
    let browser = Browser::open();
    browser.allow_scripts(false);
    at_the_form(&browser, "/v2/flows");
    for _ in 0..9 {
        browser.new_tab();
        at_the_form(&browser, "/v2/deployments");
    }
    browser.log_in("alice");
    browser.tab(0);
    browser.log_in("alice");
    wait_at_without_scripts(&browser, "/v2/flows");
}

/// Keycloak then answers `temporarily_unavailable` with `authentication_expired`: it is there, and
/// asks for a new try.
fn expired_form() {
    let lifespan = |seconds: u32| {
        admin("PUT", "", Some(&json!({ "accessCodeLifespanLogin": seconds })));
    };
    lifespan(5);
    let browser = two_at_the_form();
    let shown = Instant::now();
    eventually("the form is past its time", Duration::from_secs(60), || {
        (shown.elapsed() > Duration::from_secs(8)).then_some(())
    });
    browser.log_in("alice");
    wait_at_without_scripts(&browser, "/v2/flows");
    lifespan(1800);
}

/// The attempt can't be read any more. Keycloak knows the person by then, and asks nothing again.
fn new_key() {
    let mut gateway = Plan::new("new-key").start();
    allow_callback(&gateway.gate.origin());
    let browser = Browser::open();
    at_the_form_of(&gateway.gate, &browser, "/v2/flows");
    let cookie_key = "o".repeat(43);
    canary::plant(&cookie_key);
    gateway.restart_with(Secrets { cookie_key, ..world().secrets.clone() });
    browser.log_in("alice");
    wait_at_of(&gateway.gate, &browser, "/v2/flows");
}

/// The code can't be redeemed. The page that says so tries again by itself until it works.
fn provider_away() {
    let provider = Interruptible::to(world().layout.ports.keycloak);
    let own = format!(
        "    load_assignment:\n      cluster_name: idp\n      endpoints:\n      - lb_endpoints:\n        \
         - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {} }} }} }}\n\
         \n  - name: beside_idp\n    type: STATIC\n    load_assignment: &keycloak_endpoints\n",
        provider.port
    );
    let gateway =
        Plan::new("provider-away").envoy("    load_assignment: &keycloak_endpoints\n", own).start();
    allow_callback(&gateway.gate.origin());
    let browser = Browser::open();
    at_the_form_of(&gateway.gate, &browser, "/v2/flows");
    provider.interrupt();
    browser.log_in("alice");
    browser.wait("Lictor's page", |browser| browser.text().contains("Sign-in is unavailable"));
    provider.restore();
    wait_at_of(&gateway.gate, &browser, "/v2/flows");
}

fn bookmark() {
    let callback = used_callback();
    let origin = world().gate.origin();
    let browser = inside("alice");
    browser.goto(&callback);
    wait_inside(&browser, "alice");
    // Keycloak still knows her: nothing is asked.
    assert_eq!(browser.drop_cookies(&origin, SESSION), 1);
    browser.goto(&callback);
    browser.wait("back at Prefect", |browser| browser.url().starts_with(&origin));
    assert_session(&browser, "alice");
    // And in a browser that nobody knows, hers or somebody else's.
    let browser = Browser::open();
    browser.goto(&callback);
    browser.wait("Keycloak's form", |browser| browser.has("#kc-form-login"));
    wait_inside(&browser, "carol");
}

fn login_loop() {
    const HEADING: &str = "Sign-in keeps failing";
    let callback = used_callback();
    let browser = Browser::open();
    let stopped = (0..4).any(|_| {
        browser.goto(&callback);
        browser.wait("the form or a page", |browser| {
            browser.has("#kc-form-login") || is_ours(browser, &world().gate.origin())
        });
        browser.text().contains(HEADING)
    });
    assert!(stopped, "a loop is not broken: {}", browser.text());
    assert_good(&browser, HEADING);
    let ways = browser.script("return document.querySelectorAll('a, button').length");
    assert_eq!(ways, json!(1));
    browser.click("a.first");
    browser.wait("Keycloak's form", |browser| browser.has("#kc-form-login"));
    wait_inside(&browser, "alice");
}
