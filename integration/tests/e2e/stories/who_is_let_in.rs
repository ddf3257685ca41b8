//! Without a credential nothing passes but the health checks, and only configured names are
//! served.

use super::{Story, story};
use crate::client::Request;
use crate::keycloak_admin::basic;
use crate::world::{Admin, prefect_sees_nothing, world};

const ABOUT: &str = "edge";

pub fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "nobody gets anything: API, UI files, documents, settings", nobody),
        story(ABOUT, "health is open by exact GET only", health),
        story(ABOUT, "live and ready answer to any name", live_and_ready),
        story(ABOUT, "unknown names get 421", unknown_names),
        story(
            ABOUT,
            "Keycloak's and Lictor's connections do not serve each other's name",
            misdirected,
        ),
        story(ABOUT, "Keycloak's administration is not published", no_administration),
        story(ABOUT, "other methods are refused", methods),
        story(ABOUT, "endpoints that are not there say so", other_endpoints),
    ]
}

const CLOSED: [&str; 30] = [
    "/",
    "/v2",
    "/v2/",
    "/runs",
    "/dashboard",
    "/login",
    "/index.html",
    "/favicon.ico",
    "/robots.txt",
    "/assets/index.js",
    "/v2/assets/index.js",
    "/v2/fonts/inter.woff2",
    "/ico/favicon-96x96.png",
    "/docs",
    "/redoc",
    "/openapi.json",
    "/ui-settings",
    "/metrics",
    "/api",
    "/api/",
    "/api/docs",
    "/api/openapi.json",
    "/api/version",
    "/api/hello",
    "/api/admin/version",
    "/api/admin/settings",
    "/api/csrf-token?client=00000000-0000-0000-0000-000000000000",
    "/api/variables/name/system-health",
    "/api/flows/name/ready",
    "/health",
];

fn nobody() {
    let gate = &world().gate;
    prefect_sees_nothing(world().admin, || {
        for path in CLOSED {
            for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
                let answer = gate.send(&Request::new(method, path));
                assert_eq!(answer.status, 401, "{method} {path}");
                assert!(!answer.has("set-cookie"));
            }
            let page = gate.send(&Request::get(path).navigation());
            assert_eq!(page.status, 302, "{path} by a browser");
            assert!(page.location().starts_with(&world().layout.issuer()), "{}", page.location());
            assert_eq!(gate.send(&Request::get(path).fetch()).status, 401, "{path} by a script");
            let machine = Request::get(path).navigation().host(gate.machine_host());
            let answer = gate.send(&machine).expect(302);
            assert_eq!(answer.location(), format!("{}{path}", gate.origin()), "to the public name");
            assert!(!answer.has("set-cookie"));
        }
    });
}

fn health() {
    let gate = &world().gate;
    for path in ["/api/health", "/api/ready", "/api/health?x=1", "/api/health?"] {
        for host in
            [gate.public_host(), gate.machine_host(), "10.0.0.1".into(), "elb.example".into()]
        {
            let answer = gate.send(&Request::get(path).host(&host));
            assert_eq!(answer.status, 200, "{path} at {host}: {}", answer.text());
        }
    }
    prefect_sees_nothing(world().admin, || {
        for method in ["HEAD", "POST", "PUT", "DELETE"] {
            assert_eq!(gate.send(&Request::new(method, "/api/health")).status, 401, "{method}");
        }
        for path in [
            "/api/health/",
            "/api/healthz",
            "/api/Health",
            "/API/health",
            "/api/health;x",
            "/health",
            "/api/%2568ealth",
            "/api/health%20",
            "/x/api/health",
            "/api/health/x",
        ] {
            let status = gate.get(path).status;
            assert!(matches!(status, 400 | 401), "{path}: {status}");
        }
        let elsewhere = Request::get("/api/health/").host("10.0.0.1");
        assert_eq!(gate.send(&elsewhere).status, 421);
        let upgrade = crate::sockets::upgrade("/api/health");
        assert!(gate.send(&upgrade).status >= 400);
    });
}

fn live_and_ready() {
    let gate = &world().gate;
    for path in ["/oauth2/live", "/oauth2/ready"] {
        for host in [
            gate.public_host(),
            gate.machine_host(),
            "10.0.0.1".into(),
            "anything.example:1".into(),
        ] {
            for method in ["GET", "HEAD"] {
                let answer = gate.send(&Request::new(method, path).host(&host));
                assert_eq!(answer.status, 200, "{method} {path} at {host}");
            }
        }
        assert_eq!(gate.send(&Request::post(path, "{}")).status, 405, "{path}");
    }
}

fn unknown_names() {
    let gate = &world().gate;
    let port = gate.port;
    let key = basic(&world().stack.machine.auth_string);
    let names = [
        "evil.example".to_owned(),
        format!("evil.example:{port}"),
        "prefect.localhost".into(),
        "localhost".into(),
        format!("prefect.localhost.evil.example:{port}"),
        format!("127.0.0.1:{port}"),
        "prefect.localhost:1".into(),
        format!("user@prefect.localhost:{port}"),
        format!("prefect.localhost:{port}, evil"),
        "x/health?".into(),
        format!("prefect.localhost:{port}/health?"),
        format!(" {port}"),
        format!("prefect.localhost..:{port}"),
    ];
    prefect_sees_nothing(world().admin, || {
        for name in names {
            for path in
                ["/", "/api/admin/version", "/oauth2/start", "/oauth2/callback?state=a.b&code=c"]
            {
                let request =
                    Request::get(path).navigation().host(&name).header("authorization", &key);
                let status = gate.send(&request).status;
                assert!(matches!(status, 400 | 421), "{path} at {name:?}: {status}");
            }
        }
        // No Host at all, and two.
        let bare = b"GET /api/admin/version HTTP/1.1\r\n\r\n";
        let mut stream = gate.connect("prefect.localhost").unwrap();
        assert_eq!(crate::http1::exchange(&mut stream, bare, false).unwrap().status, 400);
        let two = Request::get("/api/admin/version")
            .header("host", "evil.example")
            .header("authorization", &key);
        let status = gate.send(&two).status;
        assert!(matches!(status, 400 | 421), "two Hosts: {status}");
    });
    // The same name in other letters, or with a dot at its end, is the same name or none.
    let upper = Request::get("/api/admin/version")
        .host(gate.public_host().to_uppercase())
        .header("authorization", &key);
    assert!(matches!(gate.send(&upper).status, 200 | 421));
}

fn misdirected() {
    let gate = &world().gate;
    for path in ["/", "/realms/prefect/.well-known/openid-configuration", "/api/admin/version"] {
        let there =
            Request::get(path).navigation().sni("prefect.localhost").host(gate.keycloak_host());
        assert_eq!(gate.send(&there).status, 421, "{path} for Keycloak at Lictor");
        let back =
            Request::get(path).navigation().sni("keycloak.localhost").host(gate.public_host());
        assert_eq!(gate.send(&back).status, 421, "{path} for Lictor at Keycloak");
    }
}

fn no_administration() {
    let gate = &world().gate;
    for path in [
        "/",
        "/admin/",
        "/admin/realms/prefect",
        "/realms/master/protocol/openid-connect/token",
        "/metrics",
        "/health",
        "/realms/prefect/../master",
        "/realms/prefect%2f..%2fmaster",
        "/realms/prefectx",
    ] {
        let request = Request::get(path).sni("keycloak.localhost").host(gate.keycloak_host());
        let status = gate.send(&request).status;
        assert!(matches!(status, 400 | 404), "{path}: {status}");
    }
}

fn methods() {
    let gate = &world().gate;
    let key = basic(&world().stack.machine.auth_string);
    prefect_sees_nothing(world().admin, || {
        for method in ["CONNECT", "TRACE", "get", "Get", "PROPFIND", "PURGE", "X"] {
            let target =
                if method == "CONNECT" { gate.public_host() } else { "/api/admin/version".into() };
            let request = Request::new(method, target).header("authorization", &key);
            // Envoy's parser closes what is no method to it at all.
            if let Ok(answer) = gate.try_send(&request) {
                assert!(
                    matches!(answer.status, 400 | 403 | 404 | 405 | 501),
                    "{method}: {}",
                    answer.status
                );
            }
        }
    });
    assert_alive(world().admin);
}

fn other_endpoints() {
    let gate = &world().gate;
    prefect_sees_nothing(world().admin, || {
        for path in [
            "/oauth2",
            "/oauth2/",
            "/oauth2/nothing",
            "/oauth2/live/",
            "/oauth2/LIVE",
            "/oauth2/callback/x",
        ] {
            assert_eq!(gate.get(path).status, 404, "{path}");
        }
        assert_eq!(gate.get("/oauth2x").status, 401);
    });
}

#[track_caller]
pub fn assert_alive(admin: Admin) {
    admin.assert_vm_alive();
    world().gate.get("/oauth2/live").expect(200);
}
