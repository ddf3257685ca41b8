//! What reaches Prefect: its own credential, who asks, and nothing that the client made up.

use super::recorded_gateway::{RecordedGateway, lines, recorded_gateway};
use super::{Story, story};
use crate::client::Request;
use crate::gateway::Plan;
use crate::keycloak_admin::basic;
use crate::sockets::{Socket, upgrade};
use crate::world::world;

const ABOUT: &str = "what reaches Prefect";

pub fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "nothing by which a client could pose as somebody", stripped),
        story(ABOUT, "nothing that a client tells Envoy, whose statistics stay as many", to_envoy),
        story(ABOUT, "its secret goes to the API path alone", injected),
        story(ABOUT, "a Connection header takes nothing away that is injected", connection),
        story(ABOUT, "other cookies and headers stay as they are", kept),
        story(ABOUT, "the configured name, whatever spelling the client used", host),
        story(ABOUT, "its own 401 is our fault: 502, and no password box", refused_secret),
    ]
}

const POSING: [&str; 38] = [
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
    "remote-groups",
    "x-user-id",
    "x-email",
    "x-amzn-oidc-data",
    "x-goog-authenticated-user-email",
    "true-client-ip",
    "x-client-ip",
    "x-original-path",
    "x-override-url",
    "x-envoy-upstream-alt-stat-name",
    "x-envoy-retry-on",
    "x-envoy-original-path",
    "x-envoy-force-trace",
    "x-envoy-upstream-rq-timeout-ms",
];
const PLANTED: &str = "planted-by-the-client";

fn posing(request: Request) -> Request {
    POSING.iter().fold(request, |request, name| request.header(name, PLANTED))
}

fn stripped() {
    let scene = recorded_gateway();
    let ours = format!("{}; __Host-lictor-login-abc={PLANTED}; a=1", scene.cookie());
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
                    .header("authorization", scene.key())
                    .header("cookie", &ours),
            ),
        ),
        (
            "API by X-Api-Key",
            posing(
                Request::get("/api/admin/version").header("x-api-key", &world().secrets.api_key),
            ),
        ),
        ("UI by key", posing(Request::get("/runs").header("authorization", scene.key()))),
        (
            "health",
            posing(
                Request::get("/api/health")
                    .header("authorization", scene.key())
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
    let session = scene.alice.session().to_ascii_lowercase();
    for (what, request) in requests {
        let head = scene.head(&request);
        assert!(!head.contains(PLANTED), "{what}: {head}");
        assert!(!head.contains(&key) && !head.contains(&session), "{what}: {head}");
        assert!(!head.contains("lictor"), "{what}: a cookie of ours: {head}");
        assert!(!head.contains(&scene.key().to_ascii_lowercase()), "{what}: {head}");
        assert_eq!(lines(&head, "x-api-key"), Vec::<&str>::new(), "{what}");
    }
    assert_underscores_do_not_pass(scene);
    stripped_of_sockets(scene);
}

fn assert_underscores_do_not_pass(scene: &RecordedGateway) {
    // Underscores do not even pass Envoy.
    let underscored = Request::get("/api/admin/version")
        .header("authorization", scene.key())
        .header("x_auth_request_user", PLANTED);
    assert_eq!(scene.gateway.gate.send(&underscored).status, 400);
}

fn stripped_of_sockets(scene: &RecordedGateway) {
    for request in [
        upgrade("/api/events/out"),
        upgrade("/api/events/out").header("authorization", scene.key()),
    ] {
        let socket = Socket::opened(
            &scene.gateway.gate,
            &posing(request.header("cookie", format!("__Host-lictor-login-x={PLANTED}"))),
        );
        let head = scene.recorder.take().heads[0].to_ascii_lowercase();
        assert!(
            !head.contains(PLANTED) && !head.contains("authorization")
                || head.contains(&scene.injected()),
            "{head}"
        );
        assert!(!head.contains(PLANTED), "{head}");
        assert!(!head.contains(&scene.key().to_ascii_lowercase()), "{head}");
        assert!(!head.contains("sec-websocket-extensions"), "{head}");
        drop(socket);
    }
}

/// The address of this client is a private one, which Envoy takes for its own network by default.
fn to_envoy() {
    let scene = recorded_gateway();
    let count = || scene.gateway.admin.stats().lines().count();
    let health = |number: usize| {
        Request::get("/api/health")
            .header("x-envoy-upstream-alt-stat-name", format!("alternate{number}"))
            .header("x-request-id", format!("{PLANTED}{number}"))
    };
    let head = scene.head(&health(0));
    let id = lines(&head, "x-request-id");
    assert!(matches!(id[..], [id] if id.len() == 36), "Envoy's own: {head}");
    assert!(!head.contains("x-envoy-"), "{head}");
    let before = count();
    for number in 0..200 {
        scene.gateway.gate.send(&health(number)).expect(200);
    }
    scene.recorder.take();
    let after = count();
    assert!(after < before + 20, "{before} statistics have become {after}");
    assert!(!scene.gateway.admin.stats().contains("alternate"));
    let log = std::fs::read_to_string(scene.gateway.layout.log("access")).unwrap_or_default();
    assert!(!log.contains(PLANTED), "a client's text for an ID in the access log");
}

fn injected() {
    let scene = recorded_gateway();
    let wanted = scene.injected();
    for path in ["/api/admin/version", "/api/flows/filter"] {
        let head = scene.head(&Request::post(path, "{}").fetch().header("cookie", scene.cookie()));
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
        let head = scene.head(&Request::get(path).navigation().header("cookie", scene.cookie()));
        assert!(lines(&head, "authorization").is_empty(), "{path}: {head}");
        assert!(!head.contains(&wanted), "{path}: {head}");
        assert_eq!(lines(&head, "x-forwarded-user"), ["alice"], "{path}");
    }
    for path in ["/api/health", "/api/ready"] {
        let head = scene.head(&Request::get(path).header("authorization", scene.key()));
        assert!(lines(&head, "authorization").is_empty(), "{path}: {head}");
        assert!(
            !head.contains("x-auth-request") && !head.contains("x-forwarded-user"),
            "{path}: {head}"
        );
    }
}

fn connection() {
    let scene = recorded_gateway();
    for value in [
        "authorization, x-auth-request-user",
        "close, authorization",
        "Authorization",
        "x-auth-request-groups",
        "keep-alive, x-forwarded-user, authorization, cookie, host",
    ] {
        let request = Request::get("/api/admin/version")
            .fetch()
            .header("cookie", scene.cookie())
            .header("connection", value);
        let answer = scene.gateway.gate.send(&request);
        let seen = scene.recorder.take();
        // Refused is as good; passed on, what Lictor says must be there.
        let Some(head) = seen.heads.first().map(|head| head.to_ascii_lowercase()) else {
            assert!((400..500).contains(&answer.status), "{value}: {}", answer.status);
            continue;
        };
        assert_eq!(lines(&head, "authorization"), [scene.injected().as_str()], "{value}: {head}");
        assert_eq!(lines(&head, "x-auth-request-groups"), ["admin"], "{value}: {head}");
        assert_eq!(lines(&head, "x-forwarded-user"), ["alice"], "{value}: {head}");
    }
}

fn kept() {
    let scene = recorded_gateway();
    let cookies = format!("prefect_ui_version=v1; {}; theme=\"dark; odd=a=b", scene.cookie());
    let request = Request::get("/api/flows/filter?x=%20y&z")
        .fetch()
        .header("cookie", cookies)
        .header("prefect-csrf-client", "c")
        .header("x-prefect-api-version", "0.8.4")
        .header("accept-language", "de");
    let head = scene.head(&request);
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
        .header("authorization", scene.key())
        .header("x-forwarded-for", "6.6.6.6")
        .header("x-forwarded-proto", "http")
        .header("x-forwarded-host", "evil.example");
    let head = scene.head(&forwarded);
    assert_eq!(lines(&head, "x-forwarded-proto"), ["https"], "{head}");
}

fn host() {
    let scene = recorded_gateway();
    let gate = &scene.gateway.gate;
    for (asked, seen) in [
        (gate.public_host(), gate.public_host()),
        (gate.machine_host(), gate.machine_host()),
        (gate.machine_host().to_uppercase(), gate.machine_host()),
    ] {
        let head = scene.head(
            &Request::get("/api/admin/version").host(&asked).header("authorization", scene.key()),
        );
        assert_eq!(lines(&head, "host"), [seen.as_str()], "{asked}");
    }
    for host in ["10.0.0.1", "x/health?", "elb.example:80"] {
        let answer = gate.send(&Request::get("/api/health").host(host));
        let seen = scene.recorder.take();
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
    let gateway = plan.start();
    let key = Request::get("/api/admin/version")
        .header("authorization", basic(&world().stack.machine.auth_string));
    for request in [key.clone(), key.fetch()] {
        let answer = gateway.gate.send(&request).expect(502);
        assert_eq!(answer.code(), "prefect_secret");
        assert!(!answer.has("www-authenticate"), "{:?}", answer.headers);
    }
    // A 401 with a challenge of whatever stands there.
    let scene = recorded_gateway();
    let answer =
        scene.gateway.gate.send(&Request::get("/api/refused").header("authorization", scene.key()));
    assert!(matches!(answer.status, 502 | 403), "{}", answer.status);
    let page = scene
        .gateway
        .gate
        .send(&Request::get("/api/refused").navigation().header("cookie", scene.cookie()))
        .expect(502);
    assert!(!page.has("www-authenticate"), "{:?}", page.headers);
}
