//! Whatever names the page that was asked for, a login ends at our origin (RFC 9700 §4.11.1).

use crate::testing::browser::{Browser, NAVIGATION};
use crate::testing::{AUTH_REQUEST_SECRET, PUBLIC, World, reply_header};
use crate::wire::http::query::encode_value;
use url::Url;

/// The payloads of oauth2-proxy's own tests.
const PAYLOADS: &[u8] =
    include_bytes!("../../../../integration/tests/data/open-redirects/oauth2-proxy.txt");

/// How a payload comes, as the query of the endpoint and a header.
type Way = fn(&str) -> (String, Option<(&'static str, String)>);

const WAYS: &[(&str, Way)] = &[
    ("rd", |payload| (format!("?rd={payload}"), None)),
    ("rd, encoded", |payload| (format!("?rd={}", encode_value(payload)), None)),
    ("rd behind our origin", |payload| (format!("?rd={PUBLIC}{payload}"), None)),
    ("rd behind our origin, encoded", |payload| {
        (format!("?rd={}", encode_value(&format!("{PUBLIC}{payload}"))), None)
    }),
    ("X-Auth-Request-Redirect", |payload| {
        (String::new(), Some(("x-auth-request-redirect", payload.to_owned())))
    }),
    ("X-Auth-Request-Redirect behind our origin", |payload| {
        (String::new(), Some(("x-auth-request-redirect", format!("{PUBLIC}{payload}"))))
    }),
    ("X-Forwarded-Uri", |payload| (String::new(), Some(("x-forwarded-uri", payload.to_owned())))),
];

/// What may follow our origin in a URL that is not of our origin.
const BEHIND_OUR_ORIGIN: [&str; 12] = [
    ":8443/",
    ":443@evil.example/",
    "@evil.example/",
    ".evil.example/",
    "%2eevil.example/",
    "\\@evil.example/",
    "\\.evil.example",
    "#@evil.example/",
    "?@evil.example/",
    ";@evil.example/",
    " .evil.example",
    "\t.evil.example",
];

/// Logs in with a wish; gives where the browser ends, or `None` if the request is refused.
fn ends_at(world: &mut World, way: Way, payload: &str) -> Option<String> {
    let (query, header) = way(payload);
    let mut lines = NAVIGATION.to_vec();
    lines.push(("x-lictor-auth-request-secret", AUTH_REQUEST_SECRET));
    lines.extend(header.as_ref().map(|(name, value)| (*name, value.as_str())));
    let mut browser = Browser::default();
    let request = browser.headers("GET", &format!("/oauth2/start{query}"), &lines);
    let reply = world.request(&request).1.reply();
    if reply.status == 400 {
        return None;
    }
    assert_eq!(reply.status, 302, "{payload:?}");
    browser.keep(&reply);
    let callback = Browser::callback_of(world, &reply);
    let reply = browser.load(world, &callback).reply();
    assert_eq!(reply.status, 302, "{payload:?}");
    Some(reply_header(&reply, "location").unwrap().to_owned())
}

#[test]
fn no_way_to_name_a_page_leads_out() {
    let own = Url::parse(PUBLIC).unwrap();
    let listed = String::from_utf8_lossy(PAYLOADS);
    let listed = listed.lines().filter(|line| !line.is_empty());
    let payloads: Vec<&str> = listed.chain(BEHIND_OUR_ORIGIN).collect();
    assert!(payloads.len() > 558, "{}", payloads.len());
    let mut world = World::new();
    for (name, way) in WAYS {
        let mut ended = 0;
        for payload in &payloads {
            let Some(location) = ends_at(&mut world, *way, payload) else { continue };
            // As a browser resolves it, from where it is.
            let target = own.join(&location).unwrap();
            let at = format!("{name} {payload:?} ends at {location}");
            assert_eq!(target.origin(), own.origin(), "{at}");
            assert_eq!(target.username(), "", "{at}");
            assert!(!target.path().starts_with("//"), "{at}");
            assert!(!target.path().starts_with("/oauth2"), "{at}");
            assert!(location.starts_with(&format!("{PUBLIC}/")), "{at}");
            ended += 1;
        }
        assert!(ended > payloads.len() / 2, "{name}: {ended} of {} logins", payloads.len());
        // Each way works.
        let wished = if name.contains("encoded") { "/runs?x=1&y=2" } else { "/runs?x=1" };
        assert_eq!(ends_at(&mut world, *way, wished), Some(format!("{PUBLIC}{wished}")), "{name}");
    }
}
