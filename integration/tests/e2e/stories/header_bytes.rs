//! Bytes that are no text, in every header that is read.

use super::who_is_let_in::assert_alive;
use super::{Story, story};
use crate::client::Request;
use crate::keycloak_login::logged_in;
use crate::world::{prefect_sees_nothing, world};

const ABOUT: &str = "header bytes";

pub fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "0x80 to 0xff in each header that is read are answered cleanly", not_utf8),
        story(ABOUT, "with a session or a key beside them too", with_credentials),
        story(ABOUT, "what Prefect may read of them goes on as it came", passed_on),
    ]
}

const READ: [&str; 20] = [
    "cookie",
    "authorization",
    "x-api-key",
    "accept",
    "origin",
    "referer",
    "sec-fetch-site",
    "sec-fetch-mode",
    "sec-fetch-dest",
    "sec-fetch-user",
    "sec-purpose",
    "purpose",
    "upgrade",
    "connection",
    "x-request-id",
    "x-forwarded-for",
    "sec-websocket-protocol",
    "access-control-request-method",
    "user-agent",
    "x-auth-request-user",
];

/// Values that hold one byte in every place that is parsed.
fn values(byte: u8) -> Vec<Vec<u8>> {
    vec![
        vec![byte],
        [b"__Host-lictor=".as_slice(), &[byte]].concat(),
        [b"Bearer ".as_slice(), &[byte, b'.', byte, b'.', byte]].concat(),
        [b"Basic ".as_slice(), &[byte, byte, byte, byte]].concat(),
        [b"lk_".as_slice(), &[byte]].concat(),
        [b"websocket".as_slice(), &[byte]].concat(),
        [b"text/html".as_slice(), &[byte]].concat(),
        [b"same-origin".as_slice(), &[byte]].concat(),
    ]
}

fn not_utf8() {
    let gate = &world().gate;
    prefect_sees_nothing(world().admin, || {
        for byte in (0x80..=0xff_u8).step_by(9).chain([0xc3, 0xff]) {
            for name in READ {
                for value in values(byte) {
                    let request = Request::get("/api/admin/version").header(name, &value);
                    let status = gate.send(&request).status;
                    assert!((300..500).contains(&status), "{name}: {value:?}: {status}");
                }
            }
            for target in
                ["/", "/oauth2/callback?code=a&state=b.c", "/oauth2/sign_out", "/oauth2/userinfo"]
            {
                let request =
                    READ.iter().filter(|name| **name != "upgrade" && **name != "connection");
                let request = request.fold(Request::get(target), |r, name| r.header(name, [byte]));
                let status = gate.send(&request).status;
                assert!((200..500).contains(&status), "{target}: {status}");
            }
            for host in [
                vec![byte],
                [b"prefect.localhost".as_slice(), &[byte]].concat(),
                [&[byte], gate.public_host().as_bytes()].concat(),
            ] {
                let status = gate.send(&Request::get("/api/admin/version").host(&host)).status;
                assert!((400..500).contains(&status), "host {host:?}: {status}");
            }
        }
    });
    assert_alive(world().admin);
}

fn with_credentials() {
    let gate = &world().gate;
    let mut alice = logged_in("alice");
    let cookie = alice.jar.header().unwrap();
    for byte in [0x80, 0xbf, 0xff] {
        for name in READ {
            let request =
                Request::get("/api/admin/version").header("cookie", &cookie).header(name, [byte]);
            let status = gate.send(&request).status;
            assert!((200..500).contains(&status), "{name} {byte}: {status}");
            let key = Request::get("/api/admin/version")
                .header("x-api-key", &world().secrets.api_key)
                .header(name, [byte]);
            let status = gate.send(&key).status;
            assert!((200..500).contains(&status), "{name} {byte}: {status}");
        }
    }
    alice.fetch("/api/admin/version").expect(200);
    assert_alive(world().admin);
}

fn passed_on() {
    let alice = logged_in("alice");
    // A cookie of somebody else's with such bytes does not take our session away.
    let cookie = [b"theme=\xff\xfe; ".as_slice(), alice.jar.header().unwrap().as_bytes()].concat();
    world()
        .gate
        .send(&Request::get("/api/admin/version").fetch().header("cookie", cookie))
        .expect(200);
}
