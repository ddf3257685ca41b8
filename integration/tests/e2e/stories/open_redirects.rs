//! Nothing in `rd=` leads away from our origin (RFC 9700 §4.11.1).

use std::fs;

use url::{Url, form_urlencoded};

use super::{Story, story};
use crate::client::Request;
use crate::cookie_client::CookieClient;
use crate::keycloak_login::{authenticate, callback_request, logged_in, parameter};
use crate::world::{checkout, say, world};

const ABOUT: &str = "open redirects";
/// Every so many payloads go through a whole login.
const STRIDE: usize = 14;

pub fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "no payload changes where a login starts", starts).apart(),
        story(ABOUT, "no payload leaves our origin after a login", ends),
        story(ABOUT, "nginx's unencoded rd keeps the whole deep link", unencoded),
    ]
}

/// Payloads of oauth2-proxy's own tests, and some of ours.
fn payloads() -> Vec<String> {
    let own = [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/%2f/evil.example",
        "/..//evil.example",
        "/.//evil.example",
        "/;@evil.example",
        "javascript:alert(1)",
        "//evil.example%2f..",
        "@evil.example",
        ".evil.example",
        ":443@evil.example/",
        "/\u{9}/evil.example",
        "/x\r\nlocation: //evil.example",
        "/oauth2/sign_out",
        "/oauth2/start?rd=//evil.example",
        "///evil.example",
        "/%5cevil.example",
    ];
    let file = checkout().join("integration/tests/data/open-redirects/oauth2-proxy.txt");
    let listed = fs::read(&file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let listed = listed.unwrap_or_else(|cause| {
        say(&format!("only our own payloads: {} can't be read ({cause})", file.display()));
        String::new()
    });
    let lines = listed.lines().filter(|line| !line.is_empty()).map(str::to_owned);
    own.into_iter().map(str::to_owned).chain(lines).collect()
}

fn encoded(payload: &str) -> String {
    form_urlencoded::byte_serialize(payload.as_bytes()).collect()
}

fn starts() {
    let gate = &world().gate;
    let callback = format!("{}/oauth2/callback", gate.origin());
    let issuer = Url::parse(&world().layout.issuer()).unwrap().origin();
    let mut begun = 0;
    for payload in payloads() {
        let raw = payload.bytes().all(|b| b.is_ascii_graphic()).then(|| payload.clone());
        for wish in [Some(encoded(&payload)), raw].into_iter().flatten() {
            let request = Request::get(format!("/oauth2/start?rd={wish}")).navigation();
            let answer = gate.send(&request);
            if answer.status == 400 {
                continue;
            }
            begun += 1;
            let location = answer.expect(302).location().to_owned();
            assert_eq!(Url::parse(&location).unwrap().origin(), issuer, "{payload:?}: {location}");
            assert_eq!(
                parameter(&location, "redirect_uri").as_deref(),
                Some(callback.as_str()),
                "{payload:?}"
            );
        }
    }
    assert!(begun >= 19, "nothing was tried");
}

fn ends() {
    let mut visitor = logged_in("alice");
    let own = Url::parse(&world().gate.origin()).unwrap();
    for payload in payloads()
        .into_iter()
        .enumerate()
        .filter_map(|(i, p)| (i < 19 || i % STRIDE == 0).then_some(p))
    {
        visitor.jar.0.clear();
        let start =
            visitor.navigate(&format!("/oauth2/start?rd={}", encoded(&payload))).expect(302);
        let back = authenticate(&mut visitor, start.location(), "alice");
        let done = visitor.send(callback_request(&back)).expect(302);
        // As a browser resolves it, from where it is.
        let target = own.join(done.location()).unwrap();
        assert_eq!(target.origin(), own.origin(), "{payload:?} ends at {}", done.location());
        assert!(!target.path().starts_with("//"), "{payload:?} ends at {}", done.location());
        assert!(!target.path().starts_with("/oauth2"), "{payload:?} ends at {}", done.location());
        assert_eq!(done.all("location").count(), 1);
    }
}

fn unencoded() {
    let mut visitor = CookieClient::new(&world().gate);
    let start = visitor.navigate("/oauth2/start?rd=/runs?x=1&y=2").expect(302);
    let back = authenticate(&mut visitor, start.location(), "alice");
    let done = visitor.send(callback_request(&back)).expect(302);
    assert_eq!(done.location(), format!("{}/runs?x=1&y=2", world().gate.origin()));
}
