//! What reaches Prefect: its own credential, who asks, and nothing that the client made up.

use super::bench::{Bench, bench, lines};
use super::{Story, story};
use crate::client::Request;
use crate::keycloak_admin::basic;
use crate::lane::Plan;
use crate::sockets::{Socket, upgrade};
use crate::world::world;

const ABOUT: &str = "what reaches Prefect";

pub fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "nothing by which a client could pose as somebody", stripped),
        story(ABOUT, "its secret goes to the API path alone", injected),
        story(ABOUT, "a Connection header takes nothing away that is injected", connection),
        story(ABOUT, "other cookies and headers stay as they are", kept),
        story(ABOUT, "the configured name, whatever spelling the client used", host),
        story(ABOUT, "its own 401 is our fault: 502, and no password box", refused_secret),
    ]
}

const POSING: [&str; 24] = [
    "x-auth-request-user",
    "X-Auth-Request-User",
    "x-auth-request-email",
    "x-auth-request-groups",
    "x-auth-request-anything",
    "x-auth-request-access-token",
    "X-AUTH-REQUEST-PREFERRED-USERNAME",
    "x-forwarded-user",
    "X-Forwarded-Email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-access-token",
    "x-forwarded-client-cert",
    "proxy-authorization",
    "remote-user",
    "Remote-User",
    "x-remote-user",
    "x-user",
    "x-webauth-user",
    "x-authenticated-user",
    "x.auth.request.user",
    "x-auth.request-user",
    "remote.user",
    "x-forwarded.user",
];
const PLANTED: &str = "planted-by-the-client";

fn posing(request: Request) -> Request {
    POSING.iter().fold(request, |request, name| request.header(name, PLANTED))
}

fn stripped() {
    let bench = bench("stripped");
    let ours = format!("{}; __Host-lictor-login-abc={PLANTED}; a=1", bench.cookie());
    let requests = [
        ("UI by cookie", posing(Request::get("/runs").navigation().header("cookie", &ours))),
        (
            "API by cookie",
            posing(Request::get("/api/admin/version").fetch().header("cookie", &ours)),
        ),
        (
            "API by key",
            posing(
                Request::get("/api/admin/version")
                    .header("authorization", bench.key())
                    .header("cookie", &ours),
            ),
        ),
        (
            "API by X-Api-Key",
            posing(
                Request::get("/api/admin/version").header("x-api-key", &world().secrets.api_key),
            ),
        ),
        ("UI by key", posing(Request::get("/runs").header("authorization", bench.key()))),
        (
            "health",
            posing(
                Request::get("/api/health")
                    .header("authorization", bench.key())
                    .header("cookie", &ours),
            ),
        ),
        (
            "health with X-Api-Key",
            posing(Request::get("/api/health").header("x-api-key", &world().secrets.api_key)),
        ),
        (
            "left-over password",
            posing(
                Request::get("/api/admin/version")
                    .fetch()
                    .header("cookie", &ours)
                    .header("authorization", basic(&format!("admin:{PLANTED}"))),
            ),
        ),
    ];
    let key = world().secrets.api_key.to_ascii_lowercase();
    let session = bench.alice.session().to_ascii_lowercase();
    for (what, request) in requests {
        let head = bench.head(&request);
        assert!(!head.contains(PLANTED), "{what}: {head}");
        assert!(!head.contains(&key) && !head.contains(&session), "{what}: {head}");
        assert!(!head.contains("lictor"), "{what}: a cookie of ours: {head}");
        assert!(!head.contains(&bench.key().to_ascii_lowercase()), "{what}: {head}");
        assert_eq!(lines(&head, "x-api-key"), Vec::<&str>::new(), "{what}");
    }
    // Underscores do not even pass Envoy.
    let underscored = Request::get("/api/admin/version")
        .header("authorization", bench.key())
        .header("x_auth_request_user", PLANTED);
    assert_eq!(bench.lane.gate.send(&underscored).status, 400);
    stripped_of_sockets(&bench);
}

fn stripped_of_sockets(bench: &Bench) {
    for request in [
        upgrade("/api/events/out"),
        upgrade("/api/events/out").header("authorization", bench.key()),
    ] {
        let socket = Socket::opened(
            &bench.lane.gate,
            &posing(request.header("cookie", format!("__Host-lictor-login-x={PLANTED}"))),
        );
        let head = bench.recorder.take().heads[0].to_ascii_lowercase();
        assert!(
            !head.contains(PLANTED) && !head.contains("authorization")
                || head.contains(&bench.injected()),
            "{head}"
        );
        assert!(!head.contains(PLANTED), "{head}");
        assert!(!head.contains(&bench.key().to_ascii_lowercase()), "{head}");
        assert!(!head.contains("sec-websocket-extensions"), "{head}");
        drop(socket);
    }
}

fn injected() {
    let bench = bench("injected");
    let wanted = bench.injected();
    for path in ["/api/admin/version", "/api/flows/filter"] {
        let head = bench.head(&Request::post(path, "{}").fetch().header("cookie", bench.cookie()));
        assert_eq!(lines(&head, "authorization"), [wanted.as_str()], "{path}");
        assert_eq!(lines(&head, "x-auth-request-groups"), ["admin"], "{path}");
        assert_eq!(lines(&head, "x-auth-request-preferred-username"), ["alice"]);
        assert_eq!(lines(&head, "x-auth-request-email"), ["alice@example.com"]);
    }
    for path in [
        "/",
        "/runs",
        "/v2/",
        "/docs",
        "/openapi.json",
        "/ui-settings",
        "/assets/x.js",
        "/apix",
        "/api",
    ] {
        let head = bench.head(&Request::get(path).navigation().header("cookie", bench.cookie()));
        assert!(lines(&head, "authorization").is_empty(), "{path}: {head}");
        assert!(!head.contains(&wanted), "{path}: {head}");
        assert_eq!(lines(&head, "x-forwarded-user"), ["alice"], "{path}");
    }
    for path in ["/api/health", "/api/ready"] {
        let head = bench.head(&Request::get(path).header("authorization", bench.key()));
        assert!(lines(&head, "authorization").is_empty(), "{path}: {head}");
        assert!(
            !head.contains("x-auth-request") && !head.contains("x-forwarded-user"),
            "{path}: {head}"
        );
    }
}

fn connection() {
    let bench = bench("connection");
    for value in [
        "authorization, x-auth-request-user",
        "close, authorization",
        "Authorization",
        "x-auth-request-groups",
        "keep-alive, x-forwarded-user, authorization, cookie, host",
    ] {
        let request = Request::get("/api/admin/version")
            .fetch()
            .header("cookie", bench.cookie())
            .header("connection", value);
        let answer = bench.lane.gate.send(&request);
        let seen = bench.recorder.take();
        // Refused is as good; passed on, what Lictor says must be there.
        let Some(head) = seen.heads.first().map(|head| head.to_ascii_lowercase()) else {
            assert!((400..500).contains(&answer.status), "{value}: {}", answer.status);
            continue;
        };
        assert_eq!(lines(&head, "authorization"), [bench.injected().as_str()], "{value}: {head}");
        assert_eq!(lines(&head, "x-auth-request-groups"), ["admin"], "{value}: {head}");
        assert_eq!(lines(&head, "x-forwarded-user"), ["alice"], "{value}: {head}");
    }
}

fn kept() {
    let bench = bench("kept");
    let cookies = format!("prefect_ui_version=v1; {}; theme=\"dark; odd=a=b", bench.cookie());
    let request = Request::get("/api/flows/filter?x=%20y&z")
        .fetch()
        .header("cookie", cookies)
        .header("prefect-csrf-client", "c")
        .header("x-prefect-api-version", "0.8.4")
        .header("accept-language", "de");
    let head = bench.head(&request);
    assert!(head.starts_with("get /api/flows/filter?x=%20y&z http/1.1"), "{head}");
    assert_eq!(lines(&head, "cookie"), ["prefect_ui_version=v1; theme=\"dark; odd=a=b"]);
    for (name, value) in [
        ("prefect-csrf-client", "c"),
        ("x-prefect-api-version", "0.8.4"),
        ("accept-language", "de"),
    ] {
        assert_eq!(lines(&head, name), [value]);
    }
    assert_eq!(lines(&head, "x-forwarded-proto"), ["https"]);
    let forwarded = Request::get("/api/admin/version")
        .header("authorization", bench.key())
        .header("x-forwarded-for", "6.6.6.6")
        .header("x-forwarded-proto", "http")
        .header("x-forwarded-host", "evil.example");
    let head = bench.head(&forwarded);
    assert_eq!(lines(&head, "x-forwarded-proto"), ["https"], "{head}");
}

fn host() {
    let bench = bench("host");
    let gate = &bench.lane.gate;
    for (asked, seen) in [
        (gate.public_host(), gate.public_host()),
        (gate.machine_host(), gate.machine_host()),
        (gate.machine_host().to_uppercase(), gate.machine_host()),
    ] {
        let head = bench.head(
            &Request::get("/api/admin/version").host(&asked).header("authorization", bench.key()),
        );
        assert_eq!(lines(&head, "host"), [seen.as_str()], "{asked}");
    }
    for host in ["10.0.0.1", "x/health?", "elb.example:80"] {
        let answer = gate.send(&Request::get("/api/health").host(host));
        let seen = bench.recorder.take();
        if answer.status == 200 {
            assert_eq!(
                lines(&seen.heads[0].to_ascii_lowercase(), "host"),
                [gate.public_host().as_str()],
                "{host}"
            );
        } else {
            assert!(seen.heads.is_empty(), "{host}");
        }
    }
}

fn refused_secret() {
    // The real Prefect, and a Lictor that has another string than it.
    let mut plan = Plan::new("wrong-string");
    plan.secrets.prefect_auth_string = "admin:not-the-string-of-this-prefect".into();
    let lane = plan.start();
    let key = Request::get("/api/admin/version")
        .header("authorization", basic(&world().stack.machine.auth_string));
    for request in [key.clone(), key.fetch()] {
        let answer = lane.gate.send(&request).expect(502);
        assert_eq!(answer.code(), "prefect_secret");
        assert!(!answer.has("www-authenticate"), "{:?}", answer.headers);
    }
    // A 401 with a challenge of whatever stands there.
    let bench = bench("challenge");
    let answer =
        bench.lane.gate.send(&Request::get("/api/refused").header("authorization", bench.key()));
    assert!(matches!(answer.status, 502 | 403), "{}", answer.status);
    let page = bench
        .lane
        .gate
        .send(&Request::get("/api/refused").navigation().header("cookie", bench.cookie()))
        .expect(502);
    assert!(!page.has("www-authenticate"), "{:?}", page.headers);
}
