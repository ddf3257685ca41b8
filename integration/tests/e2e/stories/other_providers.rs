//! Any OpenID provider: the whole way of a person with a certified one that is not Keycloak, for each way
//! in which a client may authenticate.

use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use lictor_integration::ports::Ports;
use serde_json::{Value, json};

use super::story;
use crate::client::Request;
use crate::keycloak_login::{callback_request, parameter, path_of};
use crate::lane::{Lane, Plan};
use crate::oidc_provider::OidcProvider;
use crate::visitor::Visitor;
use crate::world::world;

const ABOUT: &str = "another provider";
const RECHECK: Duration = Duration::from_secs(2);

pub fn stories() -> Vec<Trial> {
    vec![
        story(ABOUT, "login, rotation and sign-out with client_secret_basic", || {
            whole_way("basic", "client_secret_basic");
        }),
        story(ABOUT, "login, rotation and sign-out with client_secret_post", || {
            whole_way("post", "client_secret_post");
        }),
        story(ABOUT, "login, rotation and sign-out of a public client", || {
            whole_way("public", "none");
        }),
        story(ABOUT, "a sign-out at the provider ends the session here", signed_out_there),
    ]
}

/// A provider with one client, and a gate in front of Prefect that trusts it.
fn started(name: &'static str, client_auth: &str) -> (OidcProvider, Lane) {
    // Any free port: the provider must know the gate's before it starts, and the other way round.
    let port = Ports::unused().unwrap().keycloak;
    let issuer = OidcProvider::issuer_at(port);
    let lane = Plan::new(name)
        .keycloak(port)
        .patch(json!({
            "issuer": issuer,
            "idp": { "internal_url": issuer, "client_auth": client_auth },
            "session": { "recheck": "2s" },
            "roles": { "sources": ["groups"] },
        }))
        .start_unready();
    lane.wait_live();
    let origin = lane.gate.origin();
    let mut client = json!({
        "client_id": "prefect",
        "token_endpoint_auth_method": client_auth,
        "redirect_uris": [format!("{origin}/oauth2/callback")],
        "post_logout_redirect_uris": [format!("{origin}/oauth2/sign_out")],
        "backchannel_logout_uri": format!("https://127.0.0.1:{}/oauth2/backchannel_logout", lane.layout.ports.https),
        "backchannel_logout_session_required": true,
    });
    if client_auth != "none" {
        client["client_secret"] = world().secrets.client_secret.clone().into();
    }
    let provider = OidcProvider::start(name, port, &json!([client]));
    crate::world::eventually("the gate finds its provider", Duration::from_secs(20), || {
        let ready = lane.gate.get("/oauth2/ready");
        (ready.status == 200).then_some(())
    });
    (provider, lane)
}

#[track_caller]
fn log_in(provider: &OidcProvider, lane: &Lane, name: &str) -> Visitor {
    let mut visitor = Visitor::new(&lane.gate);
    let asked = visitor.navigate("/runs?x=1").expect(302);
    let callback = provider.authenticate(&mut visitor, asked.location(), name);
    assert!(parameter(&format!("http://x{callback}"), "iss").is_some(), "RFC 9207: {callback}");
    let home = visitor.send(callback_request(&callback)).expect(302);
    assert_eq!(home.location(), format!("{}/runs?x=1", lane.gate.origin()));
    visitor
}

fn whole_way(name: &'static str, client_auth: &str) {
    let (provider, lane) = started(name, client_auth);
    let mut visitor = log_in(&provider, &lane, "erin");
    let who = visitor.fetch("/oauth2/userinfo").expect(200).json();
    assert_eq!((&who["preferredUsername"], &who["role"]), (&json!("erin"), &json!("operator")));
    visitor.fetch("/api/admin/version").expect(200);
    // Each refresh token counts once: a second use would end everything.
    for _ in 0..3 {
        let since = Instant::now();
        while since.elapsed() < RECHECK {
            thread::sleep(Duration::from_millis(20));
        }
        let answer = visitor.fetch("/api/admin/version").expect(200);
        assert!(answer.has("set-cookie"), "the session was rechecked");
    }
    let away = visitor.navigate("/oauth2/sign_out").expect(302);
    assert!(away.location().starts_with(&provider.issuer()), "{}", away.location());
    let hint = parameter(away.location(), "id_token_hint").expect("a hint");
    crate::canary::plant(&hint);
    let back = provider.sign_out(&mut visitor, &path_of(away.location()));
    assert_eq!(back.location(), format!("{}/oauth2/sign_out", lane.gate.origin()));
    let page = Request::get(path_of(back.location())).navigation_from("cross-site");
    let page = visitor.send(page).expect(200);
    assert!(page.text().contains("Signed out"), "{}", page.text());
    visitor.fetch("/api/admin/version").expect(401);
    lane.admin.assert_vm_alive();
}

/// The provider tells: back-channel logout without Keycloak.
fn signed_out_there() {
    let (provider, lane) = started("tells", "client_secret_basic");
    let mut visitor = log_in(&provider, &lane, "erin");
    let other = log_in(&provider, &lane, "frank");
    visitor.fetch("/oauth2/userinfo").expect(200);
    provider.sign_out(&mut visitor, "/session/end").expect(303);
    let statuses: Vec<Value> =
        (0..12).map(|_| visitor.clone().fetch("/oauth2/userinfo").status.into()).collect();
    assert!(statuses.iter().all(|status| *status == 401), "{statuses:?}");
    other.clone().fetch("/oauth2/userinfo").expect(200);
}
