//! An open socket ends with the credential that opened it.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::rc::Rc;

use crate::Site;
use crate::foundation::stream::StreamId;
use crate::gate::decision::DataStep;
use crate::identity::credential_ref::CredentialRef;
use crate::site::sockets::SocketVerdict;
use crate::testing::idp::merge;
use crate::testing::machines::{HTPASSWD, PAIR, asks, htpasswd};
use crate::testing::store::MemoryStore;
use crate::testing::{
    API_KEY, AUTH_STRING, World, auth_frame, basic, compile, configuration, host,
};
use crate::tests::credentials::personal_tokens::made;
use crate::tests::sockets::{ended, open_socket, rewritten, upgrade};
use crate::wire::peer::Certificate;
use serde_json::{Value, json};

#[test]
fn a_socket_ends_with_its_credential() {
    let mut world = World::new();
    let bearer = world.bearer();
    let (mut gate, outcome) = world.request(&upgrade(&[("authorization", &bearer)]));
    outcome.forwarded();
    world.answer(&mut gate, "101");
    let DataStep::Replace(_) = gate.on_request_data(&auth_frame("x:y"), false, &mut world.cx())
    else {
        panic!("not rewritten")
    };
    // As long as the token would still be accepted: its end and the leeway of a minute.
    world.pass(359);
    assert_eq!(gate.on_response_data(b"", false, &mut world.cx()), DataStep::Pass);
    world.pass(1);
    assert_eq!(gate.on_response_data(b"", false, &mut world.cx()), DataStep::Reset);
    assert_eq!(gate.on_request_data(b"x", false, &mut world.cx()), DataStep::Reset);
}

/// A socket goes on as long as somebody shows the credentials that opened it, and they are good.
#[test]
fn a_socket_ends_when_its_credentials_do() {
    let mut world = World::new();
    let mut gate = world.unproved_socket();
    let held = auth_frame(PAIR);
    let _ = gate.on_request_data(&held, false, &mut world.cx());
    world.work();
    rewritten(gate.on_data_wake(&held, &mut world.cx()));
    for _ in 0..4 {
        world.pass(200);
        assert_eq!(world.status_of(PAIR), 200);
        assert_eq!(gate.on_request_data(&[], false, &mut world.cx()), DataStep::Pass);
    }
    world.idp.clients.clear();
    world.pass(300);
    assert_eq!(world.status_of(PAIR), 401);
    assert_eq!(gate.on_request_data(&[], false, &mut world.cx()), DataStep::Reset);
}

#[test]
fn a_socket_goes_on_as_long_as_its_credentials_are_shown_and_good() {
    let mut world = World::new();
    let _gate = open_socket(&mut world);
    for second in 1..=900 {
        world.pass(1);
        assert_eq!(ended(&mut world), Vec::<StreamId>::new(), "second {second}");
        if second % 10 == 0 {
            assert_eq!(world.status_of(PAIR), 200);
            world.work();
        }
    }
}

#[test]
fn sockets_end_when_the_newest_settings_take_no_such_credentials() {
    for machines in [
        json!({ "client_credentials": false }),
        json!({ "client_credentials": { "clients": ["ci"] } }),
    ] {
        let store = Rc::new(MemoryStore::default());
        let mut before = World::worker(&store);
        let _gate = open_socket(&mut before);
        let mut settings = configuration();
        settings["machines"] = machines.clone();
        let mut after = World::worker_with(&settings, &store);
        assert_eq!(after.request(&asks(PAIR)).1.status(), 401);
        let open = before.site.sockets.to_be_judged(true, before.now).remove(0).1;
        assert_eq!(
            after.site.socket_verdict(&open, before.now),
            SocketVerdict::Close,
            "{machines}"
        );
    }
}

#[test]
fn not_before_and_exchanged() {
    // session.not_before: everything issued before is void.
    let store = Rc::new(MemoryStore::default());
    let mut before = World::worker(&store);
    let _gate = open_socket(&mut before);
    let mut settings = configuration();
    settings["session"] = json!({ "not_before": "2027-01-15T08:00:01Z" });
    let mut after = World::worker_with(&settings, &store);
    after.pass(1);
    after.status_of(PAIR);
    assert_eq!(after.idp.shown.len(), 1, "asked anew");
}

#[test]
fn a_socket_that_no_site_knows_is_over() {
    let mut world = World::new();
    let mut gate = open_socket(&mut world);
    // `install` on the same root again.
    world.site = Site::new(compile(&configuration()), host(Rc::new(MemoryStore::default())));
    world.work();
    world.pass(100_000);
    assert_eq!(gate.on_request_data(&[], false, &mut world.cx()), DataStep::Reset);
}

/// A new kind does not compile here before it has its row below.
const fn kind(credential: &CredentialRef) -> &'static str {
    match credential {
        CredentialRef::Session => "none: a session opens no socket",
        CredentialRef::AccessToken { .. } => "access token",
        CredentialRef::ApiKey(_) => "API key",
        CredentialRef::ClientCredentials(_) => "client credentials",
        CredentialRef::OpaqueToken(_) => "opaque token",
        CredentialRef::PersonalToken(_) => "personal token",
        CredentialRef::Certificate(_) => "certificate",
        CredentialRef::Password(_) => "password",
        CredentialRef::AuthString => "Prefect's own secret",
    }
}

#[test]
fn a_socket_ends_when_newer_settings_accept_no_such_credential() {
    type Shown = fn(&mut World) -> Option<(&'static str, String)>;
    let rows: [(&str, Shown, fn(&mut Value)); 8] = [
        (
            "access token",
            |world| Some(("authorization", world.bearer())),
            |machines| {
                machines["bearer"] = json!(false);
                machines["introspection"] = json!(false);
            },
        ),
        (
            "API key",
            |_| Some(("x-api-key", API_KEY.to_owned())),
            |machines| machines["api_keys"] = json!([]),
        ),
        (
            "client credentials",
            |_| Some(("authorization", basic(PAIR))),
            |machines| machines["client_credentials"] = json!(false),
        ),
        (
            "opaque token",
            |world| {
                let mut claims = world.idp.machine_claims(world.now);
                merge(&mut claims, &json!({"active": true, "token_type": "Bearer"}));
                world.idp.opaque.insert("opaque".to_owned(), claims);
                Some(("authorization", "Bearer opaque".to_owned()))
            },
            |machines| machines["introspection"] = json!(false),
        ),
        (
            "personal token",
            |world| Some(("authorization", basic(&made(world)))),
            |machines| machines["personal_tokens"] = json!(false),
        ),
        (
            "certificate",
            |world| {
                let dns = Some("edge.example.com".to_owned());
                world.peer.certificate = Some(Certificate { dns, ..Certificate::default() });
                None
            },
            |machines| machines["certificates"] = json!([]),
        ),
        (
            "password",
            |_| Some(("authorization", basic(HTPASSWD.0))),
            |machines| machines["htpasswd"][0]["line"] = json!(HTPASSWD.1.replace("$2y$", "$2b$")),
        ),
        (
            "Prefect's own secret",
            |_| Some(("authorization", basic(AUTH_STRING))),
            |machines| machines["accept_auth_string"] = json!(false),
        ),
    ];
    let mut settings = configuration();
    settings["machines"]["accept_auth_string"] = json!(true);
    settings["machines"]["introspection"] = json!(true);
    settings["machines"]["htpasswd"] = htpasswd();
    // The feed of events is masked for other roles.
    settings["machines"]["personal_tokens"] = json!({"role": "admin"});
    settings["roles"] = json!({"admin": ["prefect-operator"]});
    settings["machines"]["certificates"] =
        json!([{"name": "edge", "role": "worker", "dns": "edge.example.com"}]);
    for (what, show, change) in rows {
        let store = Rc::new(MemoryStore::default());
        let mut before = World::worker_with(&settings, &store);
        let shown = show(&mut before);
        let lines: Vec<(&str, &str)> =
            shown.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let headers = upgrade(&lines);
        // Client credentials have been exchanged before.
        if what == "client credentials" {
            assert_eq!(before.status_of(PAIR), 200);
        }
        let (mut gate, outcome) = before.request(&headers);
        outcome.forwarded();
        before.answer(&mut gate, "101");
        let open = before.site.sockets.to_be_judged(true, before.now).remove(0).1;
        assert_eq!(kind(&open.credential), what);
        let mut same = World::worker_with(&settings, &store);
        let ended = before.site.sockets_to_end(Some(&mut same.site), before.now);
        assert_eq!(ended, [], "{what}, settings unchanged");
        let mut changed = settings.clone();
        change(&mut changed["machines"]);
        let mut after = World::worker_with(&changed, &store);
        let ended = before.site.sockets_to_end(Some(&mut after.site), before.now);
        assert_eq!(ended.len(), 1, "{what}");
    }
}

/// A token's text is not kept, so it can't be verified by newer rules. Its socket ends when they
/// differ, and the client comes back with the token.
#[test]
fn a_socket_of_an_access_token_ends_when_the_rules_for_it_change() {
    let table: [(&str, fn(&mut Value), bool); 12] = [
        ("nothing", |_| {}, false),
        ("an API key", |new| new["machines"]["api_keys"] = json!([]), false),
        ("the lifetime of sessions", |new| new["session"] = json!({"idle": "5m"}), false),
        ("the provider's address", |new| new["idp"] = json!({"cluster": "other"}), false),
        (
            "another issuer",
            |new| {
                new["machines"]["issuers"] = json!([{
                    "issuer": "https://ci.example.com", "cluster": "ci", "role": "viewer",
                    "jwks_uri": "https://ci.example.com/jwks", "audiences": ["prefect-ci"],
                    "claims": {"repository": "example/flows"}
                }]);
            },
            false,
        ),
        ("bearer tokens", |new| new["machines"]["bearer"] = json!(false), true),
        ("the audiences", |new| new["audiences"] = json!(["other"]), true),
        ("the authorized parties", |new| new["authorized_parties"] = json!(["ci"]), true),
        ("the algorithms", |new| new["idp"] = json!({"algorithms": ["RS256"]}), true),
        ("the roles", |new| new["roles"] = json!({"worker": ["other"]}), true),
        ("the list of people", |new| new["users"] = json!({"allow": {}}), true),
        ("the issuer", |new| new["issuer"] = json!("https://sso.example.com/realms/new"), true),
    ];
    for (what, change, ends) in table {
        let mut before = World::new();
        let bearer = before.bearer();
        let (mut gate, outcome) = before.request(&upgrade(&[("authorization", &bearer)]));
        outcome.forwarded();
        before.answer(&mut gate, "101");
        let mut settings = configuration();
        change(&mut settings);
        let mut after = World::starting(&settings);
        let ended = before.site.sockets_to_end(Some(&mut after.site), before.now);
        assert_eq!(!ended.is_empty(), ends, "{what}");
    }
}
