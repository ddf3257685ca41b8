//! What pages elsewhere try in the real Chromium, with somebody in it who is logged in.

use serde_json::Value;

use super::in_the_browser::{inside, wait_for_quiet};
use super::{Story, story};
use crate::browser::Browser;
use crate::client::Request;
use crate::foreign_site::{OTHER, SIBLING, serve};
use crate::keycloak_admin::basic;
use crate::world::{prefect_sees_nothing, world};

const ABOUT: &str = "browser, other sites";

pub fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "an untyped blob that another host posts does not reach Prefect", blobs),
        story(ABOUT, "an image whose source is the sign-out signs nobody out", images),
        story(ABOUT, "neither Prefect nor a page of ours is shown in a frame elsewhere", frames),
    ]
}

/// How many requests were refused for a reason.
fn refused(reason: &str) -> u64 {
    let wanted = format!("outcome=refused.method=none.reason={reason}: ");
    let stats = world().admin.stats();
    stats.lines().filter_map(|line| line.split_once(&wanted)?.1.parse::<u64>().ok()).sum()
}

/// Somebody who is logged in, on a page elsewhere that has done what it wanted to do.
fn lured(browser: &Browser, host: &str, port: u16) {
    browser.goto(&format!("https://{host}:{port}/"));
    browser.wait("the attempts are over", |browser| {
        browser.script("return document.title") == "tried"
    });
}

#[track_caller]
fn assert_still_inside(browser: &Browser) {
    let origin = world().gate.origin();
    browser.goto(&format!("{origin}/oauth2/userinfo"));
    browser.wait_text("\"preferredUsername\":\"alice\"");
}

/// Prefect reads JSON whatever its type says, and a blob without a type needs no preflight.
fn blobs() {
    let origin = world().gate.origin();
    let page = format!(
        "<!doctype html><title>trying</title><script>\
         const post = (path, body) => fetch('{origin}' + path, {{method: 'POST', mode: 'no-cors', \
         credentials: 'include', body: new Blob([JSON.stringify(body)])}}).then(() => 1, () => 0);\
         Promise.all([post('/api/variables/', {{name: 'evil_blob', value: 1}}), \
         post('/api/flows/', {{name: 'evil-blob'}})]).then(told => {{ \
         document.body.textContent = told.join(); document.title = 'tried' }});</script>"
    );
    let port = serve(page);
    let browser = inside("alice");
    browser.goto("about:blank");
    wait_for_quiet(world().admin);
    // Without a cookie nobody is known; with it the request is known to be forged. So the second
    // count shows that the cookie was there.
    for (host, reason) in [(OTHER, "not_authenticated"), (SIBLING, "csrf")] {
        let before = refused(reason);
        prefect_sees_nothing(world().admin, || lured(&browser, host, port));
        assert_eq!(browser.text(), "1,1", "{host}: the requests were not even sent");
        assert_eq!(refused(reason) - before, 2, "{host}: not refused as {reason}");
    }
    let key = basic(&world().stack.machine.auth_string);
    for listing in ["/api/variables/filter", "/api/flows/filter"] {
        let request = Request::post(listing, "{}").header("authorization", &key);
        let listed = world().gate.send(&request).expect(200).text();
        assert!(!listed.contains("evil_blob") && !listed.contains("evil-blob"), "{listed}");
    }
    assert_still_inside(&browser);
}

/// On a page of Prefect's own too: what somebody writes into a flow's description is shown there.
fn images() {
    let origin = world().gate.origin();
    let image = format!(
        "const image = new Image(); image.onload = image.onerror = () => {{ document.title = 'tried' }}; \
         image.src = '{origin}/oauth2/sign_out'; document.body.append(image);"
    );
    let page = format!("<!doctype html><title>trying</title><body><script>{image}</script>");
    let port = serve(page);
    let browser = inside("alice");
    for host in [OTHER, SIBLING] {
        lured(&browser, host, port);
        assert_still_inside(&browser);
    }
    let before = refused("csrf");
    browser.script(&image);
    browser.wait("the image is refused", |_| refused("csrf") > before);
    assert_still_inside(&browser);
}

fn frames() {
    let origin = world().gate.origin();
    // One that needs a session, one that needs none, one of Prefect's and one that acts.
    let shown = ["/v2/dashboard", "/oauth2/nothing", "/", "/oauth2/sign_out", "/docs"];
    let page = format!(
        "<!doctype html><title>trying</title><body><script>\
         Promise.all({list}.map(path => new Promise(done => {{ \
         const frame = document.createElement('iframe'); frame.onload = done; \
         frame.src = '{origin}' + path; document.body.append(frame) }}))).then(() => {{ \
         document.title = 'tried' }});</script>",
        list = Value::from(shown.to_vec()),
    );
    let port = serve(page);
    let browser = inside("alice");
    browser.goto("about:blank");
    wait_for_quiet(world().admin);
    for host in [OTHER, SIBLING] {
        prefect_sees_nothing(world().admin, || lured(&browser, host, port));
        for (at, path) in shown.into_iter().enumerate() {
            let (address, text) = browser.frame(u16::try_from(at).unwrap());
            // The browser's own word, or a refusal as JSON: no page that could be clicked on.
            let refusal = serde_json::from_str::<Value>(&text).is_ok_and(|t| t["code"].is_string());
            assert!(
                address.starts_with("chrome-error:") || refusal,
                "{host} shows {path}: {address} {text}"
            );
        }
    }
    // By their headers, too, for browsers that do not say that a frame asks.
    let own = world().gate.send(&Request::get("/oauth2/nothing").navigation()).expect(404);
    assert_eq!(own.header("x-frame-options"), Some("DENY"));
    let policy = own.header("content-security-policy").unwrap();
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    let headers = browser_policy(&browser, &format!("{origin}/v2/dashboard"));
    assert!(headers.contains("frame-ancestors 'self'"), "{headers}");
    assert_still_inside(&browser);
}

/// The content security policies with which a page of Prefect's comes.
fn browser_policy(browser: &Browser, address: &str) -> String {
    browser.goto(address);
    browser
        .script(
            "const ask = new XMLHttpRequest(); ask.open('GET', location.href, false); ask.send(); \
         return ask.getResponseHeader('content-security-policy')",
        )
        .as_str()
        .unwrap_or_default()
        .to_owned()
}
