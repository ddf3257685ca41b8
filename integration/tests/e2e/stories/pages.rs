//! Lictor's own pages, as people see and use them: in light and dark, wide and narrow, by keyboard,
//! by screen reader as far as axe-core can tell, and without scripts.

use std::time::Duration;

use lictor_integration::ports::Ports;
use serde_json::json;
use url::Url;

use super::in_the_browser::inside;
use super::{Story, story};
use crate::browser::Browser;
use crate::foreign_site::{OTHER, serve};
use crate::gateway::Plan;
use crate::keycloak_admin::allow_callback;
use crate::scripted_idp::{CERTS, ISSUER, METADATA, Manner, ScriptedIdp};
use crate::world::{eventually, world};

const ABOUT: &str = "browser, pages";

/// The narrowest that must do (WCAG 2, 1.4.10), and a desk's.
const SIZES: [(u32, u32); 2] = [(320, 640), (1280, 800)];
/// What pictures for the documentation show.
const PICTURE: (u32, u32) = (640, 600);

pub fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "what is bad about a page is found", control).apart(),
        story(ABOUT, "those of people who may not in, or go, are good for everybody", people),
        story(ABOUT, "one tells who is not in the list of people", not_listed),
        story(ABOUT, "those of personal tokens are good for everybody", tokens),
        story(ABOUT, "those of addresses that are no good are good for everybody", addresses),
        story(ABOUT, "those of logins that fail are good for everybody", logins),
        story(ABOUT, "those that wait are good for everybody, and lead on by themselves", waiting)
            .own_provider()
            .early(),
        story(ABOUT, "the way out and in again needs no scripts, and no mouse", no_scripts),
    ]
}

/// The page at hand, in every form in which it is shown.
#[track_caller]
pub fn assert_good(browser: &Browser, heading: &str) {
    browser.wait(heading, |browser| browser.has("main h1") && browser.text().contains(heading));
    for scheme in ["light", "dark"] {
        browser.scheme(scheme);
        for (width, height) in SIZES {
            browser.size(width, height);
            assert_shown_well(browser, heading, scheme);
        }
    }
    browser.own_size();
}

#[track_caller]
fn assert_shown_well(browser: &Browser, heading: &str, scheme: &str) {
    let at = format!("{heading}, {scheme}");
    let told = browser.script(
        "const root = document.documentElement, all = q => [...document.querySelectorAll(q)]; \
         const luminance = c => c.match(/[\\d.]+/g).slice(0, 3).reduce((sum, x) => sum + x / 765, 0); \
         return { \
         headings: all('h1').map(e => e.innerText), title: document.title, lang: root.lang, \
         scripts: document.scripts.length, wide: root.scrollWidth - root.clientWidth, \
         bytes: performance.getEntriesByType('navigation')[0].decodedBodySize, \
         foreign: performance.getEntriesByType('resource').length, \
         ground: luminance(getComputedStyle(document.body).backgroundColor), \
         ways: all('a, button, textarea').map(e => e.innerText) }",
    );
    assert_eq!(told["headings"], serde_json::json!([heading]), "{at}");
    assert_eq!(told["title"], format!("{heading} · Prefect"), "{at}");
    assert_eq!(told["lang"], "en", "{at}");
    assert_eq!(told["scripts"], 0, "{at}");
    assert_eq!(told["foreign"], 0, "{at}: something else was loaded");
    assert_eq!(told["wide"], 0, "{at}: it scrolls sideways");
    let bytes = told["bytes"].as_u64().unwrap();
    assert!((500..10_000).contains(&bytes), "{at}: {bytes} bytes");
    let ground = told["ground"].as_f64().unwrap();
    assert_eq!(ground < 0.5, scheme == "dark", "{at}: the ground is {ground}");
    let ways: Vec<&str> =
        told["ways"].as_array().unwrap().iter().filter_map(|w| w.as_str()).collect();
    assert_eq!(browser.tab_through(), ways, "{at}: by Tab");
    assert_eq!(browser.axe_findings(), Vec::<String>::new(), "{at}");
}

/// Else silence would say nothing.
fn control() {
    let port = serve(
        "<!doctype html><title>bad</title><meta http-equiv=refresh content=600>\
         <p style='color:#aaa'>faint</p><img src=x><a href=y style='outline:0'>dim</a>",
    );
    let browser = Browser::open();
    browser.goto(&format!("https://{OTHER}:{port}/"));
    let found = browser.axe_findings().join("\n");
    for rule in
        ["color-contrast", "html-has-lang", "image-alt", "meta-refresh", "page-has-heading-one"]
    {
        assert!(found.contains(&format!("{rule}:")), "{rule} is not among {found}");
    }
}

fn picture(browser: &Browser, scheme: &str, name: &str) {
    browser.scheme(scheme);
    browser.size(PICTURE.0, PICTURE.1);
    browser.script("document.activeElement.blur()");
    browser.picture(name);
    browser.own_size();
}

/// A link on another site, and somebody follows it.
fn follow_a_link_to(browser: &Browser, address: &str) {
    let port = serve(format!("<!doctype html><title>links</title><a href='{address}'>here</a>"));
    browser.goto(&format!("https://{OTHER}:{port}/"));
    browser.click("a");
}

fn people() {
    let origin = world().gate.origin();
    let browser = inside("dave");
    assert_good(&browser, "Not allowed");
    let text = browser.text();
    for said in ["dave", "viewer", "Ask your administrator", "Try again"] {
        assert!(text.contains(said), "{said}: {text}");
    }
    picture(&browser, "light", "not-allowed");

    let sign_out = format!("{origin}/oauth2/sign_out");
    follow_a_link_to(&browser, &sign_out);
    assert_good(&browser, "Sign out?");
    browser.click("button");
    assert_good(&browser, "Signed out");
    assert!(browser.text().contains("and of the identity provider"), "{}", browser.text());
    picture(&browser, "dark", "signed-out");
    follow_a_link_to(&browser, &sign_out);
    assert_good(&browser, "Signed out");
    assert!(browser.text().contains("may still be signed in"), "{}", browser.text());

    let carol = inside("carol");
    carol.goto(&format!("{origin}/api/block_documents/1?include_secrets=true"));
    assert_good(&carol, "Not allowed");
    assert!(carol.text().contains("carol"), "{}", carol.text());
    carol.click("a.first");
    carol.wait("back at Prefect", |browser| {
        browser.url().starts_with(&origin) && !browser.url().contains("/api/")
    });
}

fn not_listed() {
    let users = json!({ "users": { "allow": { "emails": ["alice@example.com"] } } });
    let gateway = Plan::new("listed").patch(users).start();
    let origin = gateway.gate.origin();
    allow_callback(&origin);
    for (name, is_listed) in [("alice", true), ("bob", false)] {
        let browser = Browser::open();
        browser.try_goto(&origin);
        browser.log_in(name);
        browser.wait("back", |browser| browser.url().starts_with(&origin));
        if is_listed {
            let asked = "return fetch('/api/admin/version').then(answer => answer.status)";
            assert_eq!(browser.script(asked).as_u64(), Some(200));
            continue;
        }
        assert_good(&browser, "Not allowed");
        let text = browser.text();
        assert!(text.contains("Your account may not use this Prefect."), "{text}");
    }
}

fn tokens() {
    let page = format!("{}/oauth2/token", world().gate.origin());
    let browser = inside("bob");
    browser.goto(&page);
    assert_good(&browser, "Personal token");
    picture(&browser, "light", "personal-token-asked");
    browser.click("button");
    assert_good(&browser, "Your personal token");
    assert!(browser.text().contains("not be shown again"), "{}", browser.text());
    browser.goto(&format!("{page}?challenge={}", "A".repeat(43)));
    assert_good(&browser, "Allow a terminal to act on your behalf?");
    picture(&browser, "dark", "personal-token-terminal");
    browser.click("button");
    assert_good(&browser, "Code for your terminal");
    browser.goto(&format!("{page}?challenge=short"));
    assert_good(&browser, "Request refused");
}

fn addresses() {
    let (gate, browser) = (&world().gate, Browser::open());
    for (path, heading) in [
        ("/oauth2/nothing", "Not found"),
        ("/oauth2/companion.js.map", "Not found"),
        ("/x/;a/y", "Request refused"),
    ] {
        browser.goto(&format!("{}{path}", gate.origin()));
        assert_good(&browser, heading);
    }
    browser.goto(&format!("https://other.localhost:{}/", gate.port));
    assert_good(&browser, "Request refused");
    browser.goto(&format!("{}/oauth2/nothing", gate.origin()));
    browser.script(
        "for (let n = 0; n < 11; n++) document.cookie = `big${n}=${'x'.repeat(3500)}; path=/`",
    );
    browser.goto(&gate.origin());
    assert_good(&browser, "Request refused");
    assert!(browser.text().contains("cookies"), "{}", browser.text());
    browser.script("for (let n = 0; n < 11; n++) document.cookie = `big${n}=; path=/; max-age=0`");
    browser.click("a.first");
    browser.wait("Keycloak's form", |browser| browser.has("#kc-form-login"));
}

/// The provider's answer to the login that is under way, as it might have been.
fn callback(browser: &Browser, origin: &str, issuer: &str, result: &str) -> String {
    let asked = Url::parse(&browser.url()).unwrap();
    let state = asked.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let mut address = Url::parse(&format!("{origin}/oauth2/callback?{result}")).unwrap();
    address.query_pairs_mut().append_pair("state", &state).append_pair("iss", issuer);
    address.into()
}

fn logins() {
    let origin = world().gate.origin();
    let browser = Browser::open();
    browser.goto(&origin);
    browser.goto(&callback(&browser, &origin, &world().layout.issuer(), "error=access_denied"));
    assert_good(&browser, "Not signed in");
    browser.click("a.first");
    browser.wait("Keycloak's form", |browser| browser.has("#kc-form-login"));

    // Its tokens name another attempt.
    let idp = ScriptedIdp::start();
    let gateway = Plan::new("lying").keycloak(idp.port).patch(idp.settings()).start();
    let origin = gateway.gate.origin();
    browser.try_goto(&origin);
    browser.goto(&callback(&browser, &origin, ISSUER, "code=any"));
    assert_good(&browser, "Sign-in failed");

    let mut plan = Plan::new("wrong-secret");
    plan.secrets.prefect_auth_string = "somebody:wrong".to_owned();
    let gateway = plan.start();
    let origin = gateway.gate.origin();
    allow_callback(&origin);
    browser.goto(&format!("{origin}/api/admin/version"));
    browser.log_in("alice");
    browser.wait("back", |browser| browser.url().starts_with(&origin));
    assert_good(&browser, "Something went wrong");
}

fn waiting() {
    let idp = ScriptedIdp::start();
    let away = Plan::new("away").keycloak(idp.port).patch(idp.settings()).start();
    for path in [METADATA, CERTS] {
        idp.behave(path, Some(Manner::Status("503")));
    }
    let port = Ports::unused().unwrap().keycloak;
    let unready = Plan::new("unready").keycloak(port).start_unready();
    unready.wait_live();
    let browser = Browser::open();
    browser.goto(&unready.gate.origin());
    assert_good(&browser, "Please wait");

    // A login is begun as long as the provider has been heard of lately.
    let origin = away.gate.origin();
    eventually("the provider's silence counts", Duration::from_secs(60), || {
        browser.try_goto(&origin);
        browser.url().starts_with(&origin).then_some(())
    });
    assert_good(&browser, "Sign-in is unavailable");
    picture(&browser, "light", "out-of-reach");
    for path in [METADATA, CERTS] {
        idp.behave(path, None);
    }
    // Nobody touches it.
    browser.wait("on to the provider", |browser| browser.url().starts_with(ISSUER));
}

fn no_scripts() {
    let origin = world().gate.origin();
    let browser = inside("carol");
    browser.allow_scripts(false);
    follow_a_link_to(&browser, &format!("{origin}/oauth2/sign_out"));
    browser.wait_text("Sign out?");
    browser.press("Tab");
    browser.press("Enter");
    browser.wait_text("Signed out");
    browser.press("Tab");
    browser.press("Enter");
    browser.wait("Keycloak's form", |browser| browser.has("#kc-form-login"));
    browser.log_in("carol");
    browser.wait("back at Prefect", |browser| browser.url().starts_with(&origin));
}
