//! Any OpenID provider: the whole way of a person with a certified one that is not Keycloak, for
//! each way in which a client may authenticate.

use std::thread;
use std::time::Duration;

use lictor_integration::ports::Ports;
use serde_json::{Value, json};
use url::Url;

use super::people::assert_refusal;
use super::{Story, story};
use crate::canary;
use crate::client::{Request, plain};
use crate::cookie_client::{CookieClient, SESSION};
use crate::gateway::{Gateway, Plan, lay_over};
use crate::keycloak_admin::basic;
use crate::keycloak_login::{callback_request, parameter, path_of};
use crate::oidc_provider::OidcProvider;
use crate::sockets::{End, Socket, auth, upgrade};
use crate::world::{eventually, prefect_sees_nothing, world};

const ABOUT: &str = "another provider";
/// Basic authentication must encode it and the secret (RFC 6749 §2.3.1): both have bytes that mean
/// something there.
const CLIENT: &str = "prefect/ui:1";

/// The key of RFC 7515 appendix A.3, and the part of it that nobody may see.
const CLIENT_KEY: &str = r#"{"kty":"EC","crv":"P-256",
"x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
"y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
"d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#;
const CLIENT_KEY_SECRET: &str = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";

pub fn stories() -> Vec<Story> {
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
        story(ABOUT, "the same with a signed token and pushed requests", || {
            whole_way("signed", "private_key_jwt");
        }),
        story(ABOUT, "a sign-out at the provider ends the session here", signed_out_there),
        story(ABOUT, "refresh tokens by consent alone, roles by userinfo alone", as_specified),
        story(ABOUT, "without a refresh token a session ends at the recheck", no_refresh_token),
        story(ABOUT, "an answer that names another issuer, or none, logs nobody in", other_issuer),
        story(ABOUT, "machines by its JWT access tokens, for the API that they ask for", jwts),
        story(ABOUT, "opaque access tokens by introspection, until they are revoked", opaque),
    ]
}

/// A provider with one client, and a gate in front of Prefect that trusts it.
fn started(name: &'static str, client_auth: &str, recheck: &str) -> (OidcProvider, Gateway) {
    start(name, client_auth, json!({ "session": { "recheck": recheck } }), false)
}

fn start(
    name: &'static str,
    client_auth: &str,
    settings: Value,
    as_specified: bool,
) -> (OidcProvider, Gateway) {
    let provider = json!({ "as_specified": as_specified });
    start_with(name, client_auth, settings, provider)
}

/// `more` are settings of the provider's; its `clients` come beside the login's.
fn start_with(
    name: &'static str,
    client_auth: &str,
    mut settings: Value,
    mut more: Value,
) -> (OidcProvider, Gateway) {
    // Any free port: the provider must know the gate's before it starts, and the other way round.
    let port = Ports::unused().unwrap().keycloak;
    let issuer = OidcProvider::issuer_at(port);
    settings["issuer"] = issuer.clone().into();
    settings["client_id"] = CLIENT.into();
    settings["idp"]["internal_url"] = issuer.into();
    settings["idp"]["client_auth"] = client_auth.into();
    let mut plan = Plan::new(name).keycloak(port).patch(settings);
    let secret = format!("{}+/%: &=", world().secrets.client_secret);
    canary::plant(&secret);
    plan.secrets.client_secret.clone_from(&secret);
    let has_key = client_auth == "private_key_jwt";
    if has_key {
        plan = plan.environment("LICTOR_CLIENT_KEY", CLIENT_KEY);
        canary::plant(CLIENT_KEY_SECRET);
        more["pushed"] = true.into();
    }
    let gateway = plan.start_unready();
    gateway.wait_live();
    let origin = gateway.gate.origin();
    let mut client = json!({
        "client_id": CLIENT,
        "token_endpoint_auth_method": client_auth,
        "redirect_uris": [format!("{origin}/oauth2/callback")],
        "post_logout_redirect_uris": [format!("{origin}/oauth2/sign_out")],
        "backchannel_logout_uri": format!("https://127.0.0.1:{}/oauth2/backchannel_logout", gateway.layout.ports.https),
        "backchannel_logout_session_required": true,
    });
    if has_key {
        let mut key: Value = serde_json::from_str(CLIENT_KEY).unwrap();
        key.as_object_mut().unwrap().remove("d");
        // The thumbprint, as in the public key that Lictor logs.
        key["kid"] = "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U".into();
        client["jwks"] = json!({ "keys": [key] });
        client["token_endpoint_auth_signing_alg"] = "ES256".into();
    } else if client_auth != "none" {
        client["client_secret"] = secret.into();
    }
    let mut clients = vec![client];
    clients.extend(more["clients"].as_array().into_iter().flatten().cloned());
    more["clients"] = clients.into();
    let provider = OidcProvider::start(name, port, more);
    eventually("the gate finds its provider", Duration::from_secs(20), || {
        let ready = gateway.gate.get("/oauth2/ready");
        (ready.status == 200).then_some(())
    });
    (provider, gateway)
}

#[track_caller]
fn log_in(provider: &OidcProvider, gateway: &Gateway, name: &str) -> CookieClient {
    let mut visitor = CookieClient::new(&gateway.gate);
    let asked = visitor.navigate("/runs?x=1").expect(302);
    let callback = provider.authenticate(&mut visitor, asked.location(), name);
    let home = visitor.send(callback_request(&callback)).expect(302);
    assert_eq!(home.location(), format!("{}/runs?x=1", gateway.gate.origin()));
    visitor
}

fn whole_way(name: &'static str, client_auth: &str) {
    let (provider, gateway) = started(name, client_auth, "1s");
    let mut visitor = log_in(&provider, &gateway, "erin");
    let who = visitor.fetch("/oauth2/userinfo").expect(200).json();
    assert_eq!((&who["preferredUsername"], &who["role"]), (&json!("erin"), &json!("operator")));
    let version = visitor.fetch("/api/admin/version").expect(200).text();
    assert_eq!(version.trim_matches('"'), world().stack.prefect.version);
    let refused = prefect_sees_nothing(gateway.admin, || {
        visitor.post("/api/admin/database/clear", "{\"confirm\":true}").expect(403)
    });
    assert_refusal(&refused, "role_missing");
    rotated(&provider, &mut visitor);
    burst(&provider, &mut visitor);
    sign_out(&provider, &gateway, &mut visitor);
    provider.refreshes();
    let grants = provider.grants();
    for grant in &grants {
        assert_eq!(grant["authentication"], client_auth, "{grant}");
        assert_eq!(grant["rotated"], grant["grant"] == "refresh_token", "{grant}");
    }
    let codes = grants.iter().filter(|grant| grant["grant"] == "authorization_code").count();
    assert_eq!(codes, 1, "{grants:?}");
    gateway.admin.assert_vm_alive();
}

/// Each refresh token counts once: a second use would end everything.
fn rotated(provider: &OidcProvider, visitor: &mut CookieClient) {
    let before = provider.refreshes();
    eventually("three refreshes, each with the last one's token", Duration::from_secs(20), || {
        visitor.fetch("/api/admin/version").expect(200);
        (provider.refreshes() >= before + 3).then_some(())
    });
}

/// What a page asks for at once shows one cookie, whichever worker gets it: one refresh, and nobody
/// is sent away.
fn burst(provider: &OidcProvider, visitor: &mut CookieClient) {
    let before = provider.refreshes();
    eventually("a refresh under a burst", Duration::from_secs(20), || {
        let answers = thread::scope(|scope| {
            let tabs = [(); 8].map(|()| {
                let mut tab = visitor.clone();
                scope.spawn(move || tab.fetch("/api/admin/version").expect(200))
            });
            tabs.map(|tab| tab.join().unwrap())
        });
        answers.iter().for_each(|answer| visitor.jar.absorb(answer));
        (provider.refreshes() > before).then_some(())
    });
    assert_eq!(provider.refreshes(), before + 1, "more than one of the burst refreshed");
}

/// Out at the gate, out at the provider, and back on a page that says so.
fn sign_out(provider: &OidcProvider, gateway: &Gateway, visitor: &mut CookieClient) {
    let kept = visitor.clone();
    let away = visitor.navigate("/oauth2/sign_out").expect(302);
    assert!(away.location().starts_with(&provider.issuer()), "{}", away.location());
    let hint = parameter(away.location(), "id_token_hint").expect("a hint");
    canary::plant(&hint);
    let back = provider.sign_out(visitor, &path_of(away.location()));
    assert_eq!(back.location(), format!("{}/oauth2/sign_out", gateway.gate.origin()));
    let page = Request::get(path_of(back.location())).navigation_from("cross-site");
    let page = visitor.send(page).expect(200);
    assert!(page.text().contains("Signed out"), "{}", page.text());
    visitor.fetch("/api/admin/version").expect(401);
    kept.clone().fetch("/api/admin/version").expect(401);
    let asked = visitor.navigate("/").expect(302);
    assert_eq!(provider.asks(visitor, asked.location()), "login", "the provider still knows erin");
}

/// The provider tells: back-channel logout without Keycloak.
fn signed_out_there() {
    let (provider, gateway) = started("tells", "client_secret_basic", "5m");
    let mut visitor = log_in(&provider, &gateway, "erin");
    let other = log_in(&provider, &gateway, "frank");
    visitor.fetch("/oauth2/userinfo").expect(200);
    provider.sign_out(&mut visitor, "/session/end").expect(303);
    let statuses: Vec<Value> =
        (0..12).map(|_| visitor.clone().fetch("/oauth2/userinfo").status.into()).collect();
    assert!(statuses.iter().all(|status| *status == 401), "{statuses:?}");
    other.clone().fetch("/oauth2/userinfo").expect(200);
}

/// A provider that gives no more than OpenID Connect Core makes it: no refresh token without the
/// scope and the prompt (§11), no claim of a further scope in a token (§5.4).
fn as_specified() {
    let settings = json!({
        "idp": {
            "scopes": "openid staff offline_access",
            "extra_auth_params": { "prompt": "consent" },
            "userinfo": true,
        },
        "roles": { "sources": ["staff_roles"] },
        "session": { "recheck": "1s" },
    });
    let (provider, gateway) = start("as-specified", "client_secret_basic", settings, true);
    let mut visitor = log_in(&provider, &gateway, "staff-erin");
    rotated(&provider, &mut visitor);
    assert_eq!(visitor.fetch("/oauth2/userinfo").expect(200).json()["role"], "operator");
    let mut visitor = log_in(&provider, &gateway, "frank");
    let refused =
        prefect_sees_nothing(gateway.admin, || visitor.fetch("/api/admin/version").expect(403));
    assert_refusal(&refused, "no_role");
    gateway.admin.assert_vm_alive();
}

/// What cannot be rechecked does not count for longer; the provider still knows the person.
fn no_refresh_token() {
    let settings = json!({ "session": { "recheck": "1s" } });
    let (provider, gateway) = start("no-refresh", "client_secret_basic", settings, true);
    let mut visitor = log_in(&provider, &gateway, "erin");
    let ended = eventually("the recheck is due", Duration::from_secs(20), || {
        let before = gateway.admin.reached_prefect();
        let answer = visitor.fetch("/api/admin/version");
        if answer.status == 401 {
            assert_eq!(gateway.admin.reached_prefect(), before, "something reached Prefect");
            return Some(answer);
        }
        answer.expect(200);
        None
    });
    assert_refusal(&ended, "session_ended");
    let asked = visitor.navigate("/runs").expect(302);
    let callback = provider.no_question(&mut visitor, asked.location());
    let home = visitor.send(callback_request(&callback)).expect(302);
    assert_eq!(home.location(), format!("{}/runs", gateway.gate.origin()));
    visitor.fetch("/api/admin/version").expect(200);
    assert_eq!(provider.refreshes(), 0);
    gateway.admin.assert_vm_alive();
}

/// RFC 9207 §2.4: the answer of another provider, to whose client the code may belong.
fn other_issuer() {
    let (provider, gateway) = started("issuer", "client_secret_basic", "5m");
    let issuer = provider.issuer();
    let slashed = format!("{issuer}/");
    for other in [Some("https://evil.example"), Some(slashed.as_str()), None] {
        let mut visitor = CookieClient::new(&gateway.gate);
        let asked = visitor.navigate("/runs").expect(302);
        let callback = provider.authenticate(&mut visitor, asked.location(), "erin");
        let mut url = Url::parse(&format!("{}{callback}", gateway.gate.origin())).unwrap();
        assert_eq!(parameter(url.as_str(), "iss").as_ref(), Some(&issuer));
        let honest = url.query_pairs().into_owned().filter(|(name, _)| name != "iss");
        let honest: Vec<(String, String)> = honest.collect();
        let changed = other.map(|other| ("iss", other));
        url.query_pairs_mut().clear().extend_pairs(honest).extend_pairs(changed);
        let answer = prefect_sees_nothing(gateway.admin, || {
            visitor.send(callback_request(&path_of(url.as_str())))
        });
        assert!(!visitor.jar.0.contains_key(SESSION), "{other:?}: {answer:?}");
        visitor.fetch("/api/admin/version").expect(401);
    }
    assert_eq!(provider.grants(), Vec::<Value>::new(), "a code was redeemed");
    // All else about those answers was in order.
    log_in(&provider, &gateway, "erin");
    assert_eq!(provider.grants().len(), 1);
    gateway.admin.assert_vm_alive();
}

/// An API of the provider's, with access tokens of this format, and what its machines need.
const API: &str = "https://prefect.example/api";
const WORKER: &str = "etl";
const WORKER_SECRET: &str = "what-only-etl-and-its-provider-know-0123456789";

fn with_api(name: &'static str, format: &str, settings: Value) -> (OidcProvider, Gateway) {
    canary::plant(WORKER_SECRET);
    let mut all = json!({
        "audiences": [API],
        "session": { "recheck": "1s" },
        "roles": { "sources": ["scope", "groups"], "worker": ["work"] },
    });
    lay_over(&mut all, &settings);
    let worker = json!({
        "client_id": WORKER, "client_secret": WORKER_SECRET, "redirect_uris": [],
        "grant_types": ["client_credentials"], "response_types": [],
    });
    let provider = json!({ "clients": [worker], "resources": { API: format } });
    start_with(name, "client_secret_basic", all, provider)
}

/// A token that the worker gets for itself.
#[track_caller]
fn own_token(provider: &OidcProvider) -> String {
    let form = format!(
        "grant_type=client_credentials&client_id={WORKER}&client_secret={WORKER_SECRET}&scope=work&resource={}",
        url::form_urlencoded::byte_serialize(API.as_bytes()).collect::<String>()
    );
    let request = Request::new("POST", "/token").form(&form);
    let answer = plain(provider.port, &request).unwrap().expect(200).json();
    let token = answer["access_token"].as_str().unwrap().to_owned();
    canary::plant(&token);
    token
}

fn jwts() {
    let settings = json!({
        "idp": { "profile": "rfc9068" },
        "machines": { "client_credentials": { "scope": "work", "resource": API } },
    });
    let (provider, gateway) = with_api("its-jwts", "jwt", settings);
    let gate = &gateway.gate;
    let token = own_token(&provider);
    assert_eq!(token.split('.').count(), 3, "no JWT");
    gate.version_by(&token).expect(200);
    let who = |authorization: &str| {
        let request = Request::get("/oauth2/userinfo").header("authorization", authorization);
        gate.send(&request).expect(200).json()
    };
    let by_token = who(&format!("Bearer {token}"));
    assert_eq!((&by_token["user"], &by_token["role"]), (&json!("client:etl"), &json!("worker")));
    let by_pair = who(&basic(&format!("{WORKER}:{WORKER_SECRET}")));
    assert_eq!((&by_pair["user"], &by_pair["role"]), (&json!("client:etl"), &json!("worker")));
    assert_eq!(by_pair["method"], "client_credentials");
    let wrong = Request::get("/api/admin/version").header("authorization", basic("etl:wrong"));
    gate.send(&wrong).expect(401);
    // People log in beside it.
    let mut visitor = log_in(&provider, &gateway, "frank");
    visitor.fetch("/api/admin/version").expect(200);
}

fn opaque() {
    let settings = json!({ "machines": { "introspection": true } });
    let (provider, gateway) = with_api("its-opaque-ones", "opaque", settings);
    let gate = &gateway.gate;
    let token = own_token(&provider);
    assert_eq!(token.split('.').count(), 1, "a JWT");
    gate.version_by(&token).expect(200);
    let request =
        Request::get("/oauth2/userinfo").header("authorization", format!("Bearer {token}"));
    let who = gate.send(&request).expect(200).json();
    assert_eq!((&who["user"], &who["role"]), (&json!("client:etl"), &json!("worker")));
    assert_eq!(who["method"], "opaque_token");
    gate.version_by("no-token-of-anybody").expect(401);
    // A worker's first frame has it, too.
    let mut socket = Socket::opened(gate, &upgrade("/api/events/in"));
    socket.send_text(&auth(token.clone()));
    let greeting = socket.next(Duration::from_secs(20)).unwrap().text();
    assert!(greeting.contains("auth_success"), "{greeting}");

    let form = format!("client_id={WORKER}&client_secret={WORKER_SECRET}&token={token}");
    let revoke = Request::new("POST", "/token/revocation").form(&form);
    plain(provider.port, &revoke).unwrap().expect(200);
    eventually("a revoked token is refused", Duration::from_secs(20), || {
        (gate.version_by(&token).status == 401).then_some(())
    });
    assert_eq!(socket.end(Duration::from_secs(30)), End::Lost);
    // With the provider gone, a token that was good a moment ago still is.
    let other = own_token(&provider);
    gate.version_by(&other).expect(200);
    drop(provider);
    eventually("the recheck is due", Duration::from_secs(20), || {
        let log = std::fs::read_to_string(gateway.layout.log("envoy")).unwrap();
        gate.version_by(&other).expect(200);
        log.contains("no verdict on a token").then_some(())
    });
    gateway.admin.assert_vm_alive();
}
