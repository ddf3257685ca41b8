//! Paths that two parsers could read in two ways.

use super::who_is_let_in::assert_alive;
use super::{Story, story};
use crate::client::Request;
use crate::gateway::Plan;
use crate::keycloak_admin::basic;
use crate::recorder::Recorder;
use crate::world::{prefect_sees_nothing, world};

const ABOUT: &str = "paths";

pub fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "ambiguous ones are a clean 4xx, and Prefect sees nothing", ambiguous),
        story(ABOUT, "what Envoy resolves is judged as what it sends on", resolved),
        story(ABOUT, "no spelling opens what is closed", closed),
        story(ABOUT, "no spelling gets past a role", past_a_role),
        story(ABOUT, "long ones are answered", long),
        story(ABOUT, "giant cookies and headers are answered", giant),
    ]
}

const AMBIGUOUS: [&str; 30] = [
    "/api%2fadmin/version",
    "/api%2Fadmin/version",
    "/api/admin%2fversion",
    "/%2fapi/admin/version",
    "/api%5cadmin/version",
    "/api%5Cadmin/version",
    "/api/%00",
    "/api/admin/version%00",
    "/api/%0aadmin",
    "/api/%0d%0aadmin",
    "/api/%7f",
    "/api/%252e%252e/admin",
    "/api/%252fadmin",
    "/api/;/admin",
    "/api/;x=1/admin",
    "/api/admin/version#x",
    "/#",
    "/api/%",
    "/api/%2",
    "/api/%zz",
    "/api/%u002f",
    "/api/%c0%ae%c0%ae/admin",
    "/api/%ff",
    "/api/%e2%28%a1",
    "api/admin/version",
    "*",
    "?",
    "",
    "/%5c",
    "/api/%5c..%5cadmin",
];

fn ambiguous() {
    let gate = &world().gate;
    let key = basic(&world().stack.machine.auth_string);
    prefect_sees_nothing(world().admin, || {
        for path in AMBIGUOUS {
            for credential in [None, Some(&key)] {
                let request = Request::get(path).navigation();
                let request =
                    credential.into_iter().fold(request, |r, c| r.header("authorization", c));
                let Ok(answer) = gate.try_send(&request) else { continue };
                assert!((400..500).contains(&answer.status), "{path:?}: {}", answer.status);
            }
        }
        for path in [&b"/api/\xff"[..], b"/api/\x80admin", b"/\xc3\xa4", b"/api/a\tb", b"/api/\x01"]
        {
            let request = Request::get(path).header("authorization", &key);
            let Ok(answer) = gate.try_send(&request) else { continue };
            assert!((400..500).contains(&answer.status), "{path:?}: {}", answer.status);
        }
    });
    assert_alive(world().admin);
}

/// Envoy's `normalize_path` and `merge_slashes` act before any filter: Lictor gets the second.
const RESOLVED: [(&str, &str); 12] = [
    ("/api/x/../admin/version", "/api/admin/version"),
    ("/api/x/%2e%2e/admin/version", "/api/admin/version"),
    ("/api/x/.%2E/admin/version", "/api/admin/version"),
    ("/api/x/..;/admin/version", "/api/admin/version"),
    ("/api/./admin/version", "/api/admin/version"),
    ("/api/.;/admin/version", "/api/admin/version"),
    ("/api//admin/version", "/api/admin/version"),
    ("/api\\admin\\version", "/api/admin/version"),
    ("/%61pi/%61dmin/version", "/api/admin/version"),
    ("/api/health/../admin/settings", "/api/admin/settings"),
    ("/../../api/admin/settings", "/api/admin/settings"),
    ("/api/%68ealth", "/api/health"),
];

fn resolved() {
    let recorder = Recorder::start();
    let gateway = Plan::new("resolved").prefect(recorder.port).start();
    let key = basic(&world().stack.machine.auth_string);
    for (spelling, path) in RESOLVED {
        for credential in [None, Some(&key)] {
            let send = |target: &str| {
                let request = credential
                    .into_iter()
                    .fold(Request::get(target), |r, c| r.header("authorization", c));
                let status = gateway.gate.send(&request).status;
                let seen = recorder.take().heads;
                (
                    status,
                    seen.iter()
                        .filter_map(|head| head.lines().next().map(str::to_owned))
                        .collect::<Vec<_>>(),
                )
            };
            assert_eq!(send(spelling), send(path), "{spelling} with {credential:?}");
        }
    }
}

/// Spellings of a closed path that some servers take for an open one, or the other way round.
const DISGUISED: [&str; 14] = [
    "/api/health/../admin/version",
    "/api/health/%2e%2e/admin/version",
    "/api/health/.%2e/admin/version",
    "/api//admin/version",
    "//api/admin/version",
    "/api/./admin/version",
    "/./api/admin/version",
    "/x/../api/admin/version",
    "/oauth2/live/../../api/admin/version",
    "/oauth2/../api/admin/version",
    "/api/%61dmin/version",
    "/api/admin/version/",
    "/api/health//../admin/version",
    "/%61pi/admin/version",
];

fn closed() {
    let gate = &world().gate;
    prefect_sees_nothing(world().admin, || {
        for path in DISGUISED {
            let status = gate.get(path).status;
            assert!((400..500).contains(&status), "{path}: {status}");
        }
        let absolute = format!("http://{}/api/health/../admin/version", gate.public_host());
        for target in
            [absolute.as_str(), "http://evil.example/api/admin/version", "https://evil.example/"]
        {
            let status = gate.send(&Request::get(target)).status;
            assert!((400..500).contains(&status), "{target}: {status}");
        }
    });
}

fn past_a_role() {
    let gate = &world().gate;
    let key = basic(&world().stack.machine.auth_string);
    // The role worker may read the version, and of /api/admin nothing else.
    for path in [
        "/api/admin/settings",
        "/api/%61dmin/settings",
        "/api/./admin/settings",
        "/api//admin/settings",
        "/api/admin/version/../settings",
        "/api/admin/%73ettings",
        "/api/health/../admin/settings",
        "/x/../api/admin/settings",
        "/api/admin/settings/",
        "/api/admin/settings?x=/../version",
        "/%61pi/admin/settings",
    ] {
        let answer = prefect_sees_nothing(world().admin, || {
            gate.send(&Request::get(path).header("authorization", &key))
        });
        assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
    }
    for path in [
        "/api/admin/database/clear",
        "/api//admin/database/clear",
        "/api/admin/./database/clear",
        "/api/admin/database/%63lear",
        "/api/admin/database/clear/",
        "/api/flows/filter/../../admin/database/clear",
    ] {
        let request = Request::post(path, "{\"confirm\":true}").header("authorization", &key);
        let answer = prefect_sees_nothing(world().admin, || gate.send(&request));
        assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
    }
}

fn long() {
    let gate = &world().gate;
    for length in [8 * 1024, 32 * 1024] {
        let path = format!("/{}", "a".repeat(length - 1));
        let status = gate.get(&path).status;
        assert_eq!(status, 401, "{length} bytes");
        // The return path is dropped rather than carried in a cookie too large to come back.
        let page = gate.send(&Request::get(&path).navigation());
        assert_eq!(page.status, 302, "{length} bytes");
        let cookies: Vec<usize> = page.all("set-cookie").map(str::len).collect();
        assert!(cookies.iter().all(|size| *size < 4096), "{cookies:?}");
        let query = format!("/runs?x={}", "b".repeat(length));
        assert!(matches!(gate.send(&Request::get(&query).navigation()).status, 302 | 431));
    }
    let path = format!("/{}", "a".repeat(64 * 1024));
    let answer = prefect_sees_nothing(world().admin, || gate.try_send(&Request::get(&path)));
    if let Ok(answer) = answer {
        assert_eq!(answer.status, 431, "64 KiB");
    }
    assert_alive(world().admin);
}

fn giant() {
    let gate = &world().gate;
    let cookie = |size: usize| format!("a={}", "x".repeat(size));
    let send = |cookie: &str| {
        gate.send(&Request::get("/api/admin/version").header("cookie", cookie)).status
    };
    prefect_sees_nothing(world().admin, || {
        assert_eq!(send(&cookie(32 * 1024 - 2)), 401);
        assert_eq!(send(&cookie(32 * 1024 - 1)), 431);
        assert_eq!(send(&cookie(50 * 1024)), 431);
        // Envoy's own limit for all headers together.
        if let Ok(answer) = gate.try_send(&Request::get("/").header("cookie", cookie(80 * 1024))) {
            assert_eq!(answer.status, 431);
        }
        let many = (0..50).fold(Request::get("/api/admin/version"), |r, i| {
            r.header("cookie", format!("c{i}={}", "y".repeat(700)))
        });
        assert_eq!(gate.send(&many).status, 431, "many lines count together");
        let ours =
            format!("__Host-lictor={}; __Host-lictor=x; __Host-lictor-login-x=y", "A".repeat(4000));
        assert_eq!(send(&ours), 401);
        let token = "a".repeat(16 * 1024 + 1);
        let long =
            Request::get("/api/admin/version").header("authorization", format!("Bearer {token}"));
        assert_eq!(gate.send(&long).status, 401);
        let headers = (0..320).fold(Request::get("/"), |r, i| r.header(format!("x-{i}"), "1"));
        if let Ok(answer) = gate.try_send(&headers) {
            assert_eq!(answer.status, 431, "320 headers");
        }
    });
    assert_alive(world().admin);
}
