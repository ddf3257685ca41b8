//! The configuration on the page of each provider in docs/providers, against a provider that behaves
//! as the page says: its metadata, claims, refreshes, logout and machines.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::testing::browser::Browser;
use crate::testing::idp::merge;
use crate::testing::machines::{PAIR, asks};
use crate::testing::{Headers, Outcome, PUBLIC, World, compile, header, reply_header};
use crate::wire::http::query::only;
use serde_json::{Value, json};

/// A provider: its page, its metadata, and what its tokens are like.
struct Page {
    name: &'static str,
    text: &'static str,
    /// `None`: Keycloak's, which the world has by itself.
    metadata: Option<&'static str>,
    /// Claims of a person's ID token that differ from Keycloak's.
    person: Value,
    /// The role of that person, and the name that Prefect is told.
    told: [&'static str; 2],
    /// Where a sign-out leads: an address with the parameter for the way back, or nowhere.
    logout: Option<(&'static str, &'static str)>,
    /// Whether the refresh token is revoked.
    revokes: bool,
    /// Claims of a machine's access token that differ from Keycloak's.
    machine: Value,
    /// Parameters that the token request must have; `None` without a client credentials grant.
    asked: Option<Vec<(&'static str, &'static str)>>,
    /// The machine, and its role.
    machine_told: [&'static str; 2],
}

/// What Keycloak's tokens have and others do not.
const NOT_KEYCLOAK: [&str; 5] = ["typ", "sid", "azp", "realm_access", "preferred_username"];

/// Claims without Keycloak's own.
fn claims(own: Value) -> Value {
    let mut claims = json!({});
    for name in NOT_KEYCLOAK {
        claims[name] = Value::Null;
    }
    claims.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
    claims
}

fn pages() -> Vec<Page> {
    vec![keycloak(), okta(), entra(), google(), cognito(), auth0()]
}

fn keycloak() -> Page {
    Page {
        name: "Keycloak",
        text: include_str!("../../../../docs/providers/keycloak.md"),
        metadata: None,
        person: json!({}),
        told: ["operator", "alice"],
        logout: None,
        revokes: false,
        machine: json!({}),
        asked: Some(vec![]),
        machine_told: ["client:etl-worker", "worker"],
    }
}

fn okta() -> Page {
    Page {
        name: "Okta",
        text: include_str!("../../../../docs/providers/okta.md"),
        metadata: Some(include_str!("../data/providers/okta-custom.json")),
        person: claims(json!({
            "aud": "0oa1prefect", "sub": "00u1", "ver": 1, "amr": ["pwd"], "idp": "00o1",
            "preferred_username": "alice@example.com", "groups": ["prefect-operator"],
        })),
        told: ["operator", "alice@example.com"],
        logout: Some((
            "https://example.okta.com/oauth2/default/v1/logout",
            "post_logout_redirect_uri",
        )),
        revokes: true,
        machine: claims(json!({
            "aud": "api://default", "cid": "etl-worker", "sub": "etl-worker", "ver": 1,
            "scp": ["prefect.worker"],
        })),
        asked: Some(vec![("scope", "prefect.worker")]),
        machine_told: ["client:etl-worker", "worker"],
    }
}

fn entra() -> Page {
    let tenant = "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555";
    Page {
        name: "Entra ID",
        text: include_str!("../../../../docs/providers/entra-id.md"),
        metadata: Some(include_str!("../data/providers/entra-v2.json")),
        person: claims(json!({
            "aud": "aaaaaaaa-0000-0000-0000-000000000001", "oid": "o-1", "tid": "t-1", "ver": "2.0",
            "preferred_username": "alice@example.com", "email_verified": null,
            "roles": ["Prefect.Operator"],
        })),
        told: ["operator", "alice@example.com"],
        logout: Some((&*format!("{tenant}/oauth2/v2.0/logout").leak(), "post_logout_redirect_uri")),
        revokes: false,
        machine: claims(json!({
            "aud": "bbbbbbbb-0000-0000-0000-000000000002", "azp": "etl-worker", "azpacr": "1",
            "sub": "service-principal-1", "oid": "service-principal-1", "idtyp": "app", "ver": "2.0",
            "roles": ["Prefect.Worker"],
        })),
        asked: Some(vec![("scope", "api://bbbbbbbb-0000-0000-0000-000000000002/.default")]),
        machine_told: ["client:etl-worker", "worker"],
    }
}

fn google() -> Page {
    Page {
        name: "Google",
        text: include_str!("../../../../docs/providers/google.md"),
        metadata: Some(include_str!("../data/providers/google.json")),
        person: claims(json!({
            "aud": "1234-prefect.apps.googleusercontent.com",
            "azp": "1234-prefect.apps.googleusercontent.com", "sub": "10769150350006150715",
            "hd": "example.com", "email": "bob@example.com", "name": "Bob",
        })),
        told: ["operator", "bob@example.com"],
        logout: None,
        revokes: true,
        machine: claims(json!({
            "aud": "prefect-machines", "azp": "115000000000000000001",
            "sub": "115000000000000000001", "email_verified": true,
            "email": "etl@example-project.iam.gserviceaccount.com",
        })),
        asked: None,
        machine_told: ["client:115000000000000000001", "worker"],
    }
}

fn cognito() -> Page {
    Page {
        name: "Cognito",
        text: include_str!("../../../../docs/providers/cognito.md"),
        metadata: Some(include_str!("../data/providers/cognito.json")),
        person: claims(json!({
            "aud": "1prefect2example3", "token_use": "id", "cognito:username": "alice",
            "cognito:groups": ["prefect-operator", "others"],
        })),
        told: ["operator", "alice@example.com"],
        logout: Some(("https://example.auth.eu-central-1.amazoncognito.com/logout", "logout_uri")),
        revokes: true,
        machine: claims(json!({
            "aud": null, "client_id": "etl-worker", "sub": "etl-worker", "token_use": "access",
            "scope": "prefect/worker", "version": 2,
        })),
        asked: Some(vec![("scope", "prefect/worker")]),
        machine_told: ["client:etl-worker", "worker"],
    }
}

fn auth0() -> Page {
    Page {
        name: "Auth0",
        text: include_str!("../../../../docs/providers/auth0.md"),
        metadata: Some(include_str!("../data/providers/auth0.json")),
        person: claims(json!({
            "aud": "prefectexample1", "sub": "auth0|507f", "nickname": "alice", "name": "Alice",
            "https://prefect.example.com/roles": ["prefect-operator"],
        })),
        told: ["operator", "alice@example.com"],
        logout: Some(("https://example.eu.auth0.com/oidc/logout", "post_logout_redirect_uri")),
        revokes: true,
        machine: claims(json!({
            "aud": "https://prefect.example.com/api", "azp": "etl-worker",
            "sub": "etl-worker@clients", "gty": "client-credentials", "scope": "prefect:worker",
            "permissions": ["prefect:worker"],
        })),
        asked: Some(vec![("audience", "https://prefect.example.com/api")]),
        machine_told: ["client:etl-worker", "worker"],
    }
}

impl Page {
    /// The configuration on the page: its only block of JSON.
    fn settings(&self) -> Value {
        let mut blocks = self.text.split("```json\n").skip(1);
        let block = blocks.next().unwrap().split("```").next().unwrap();
        assert!(blocks.next().is_none(), "{}: one configuration", self.name);
        serde_json::from_str(block).unwrap_or_else(|e| panic!("{}: {e}", self.name))
    }

    fn world(&self) -> World {
        let settings = self.settings();
        let mut world = World::starting(&settings);
        if let Some(metadata) = self.metadata {
            let document = serde_json::from_str(metadata).unwrap();
            world.idp.publish(document, &compile(&settings));
        }
        world.work();
        assert!(world.site.is_ready(world.now), "{}: {:?}", self.name, world.log);
        world
    }

    /// The last form that went to the token endpoint.
    fn form(world: &World) -> String {
        let mut forms = world.idp.forms.iter().rev();
        forms.find(|(path, _)| path == "/realms/prefect/token").unwrap().1.clone()
    }
}

fn values<const N: usize>(sent: &Headers, names: [&str; N]) -> [String; N] {
    names.map(|name| header(sent, name).unwrap_or("-").to_owned())
}

#[track_caller]
fn forwarded(page: &Page, outcome: Outcome) -> Headers {
    match outcome {
        Outcome::Forwarded(sent) => sent,
        other => panic!("{}: {other:?}", page.name),
    }
}

/// A person logs in, is rechecked with an ID token without `nonce`, and signs out.
#[test]
fn people_come_stay_and_go() {
    for page in pages() {
        let mut world = page.world();
        world.idp.claims = page.person.clone();
        let mut browser = Browser::default();
        let callback = browser.start_login(&mut world, "/runs?x=1");
        let reply = browser.load(&mut world, &callback).reply();
        let there = format!("{PUBLIC}/runs?x=1");
        assert_eq!(reply_header(&reply, "location"), Some(there.as_str()), "{}", page.name);
        for round in 0..2 {
            let outcome = browser.fetch(&mut world, "GET", "/api/flows/1");
            let sent = forwarded(&page, outcome);
            let told =
                values(&sent, ["x-auth-request-groups", "x-auth-request-preferred-username"]);
            assert_eq!(told, page.told, "{}, round {round}", page.name);
            world.pass(301);
        }
        assert!(Page::form(&world).contains("grant_type=refresh_token"), "{}", page.name);

        let reply = browser.load(&mut world, "/oauth2/sign_out").reply();
        assert!(browser.session().is_none(), "{}", page.name);
        let location = reply_header(&reply, "location").and_then(|text| text.split_once('?'));
        let parameter =
            |query: &str, name: &str| only(query, name).unwrap().map(std::borrow::Cow::into_owned);
        match (page.logout, location) {
            (None, None) => assert_eq!(reply.status, 200, "{}", page.name),
            (Some((endpoint, back)), Some((there, query))) => {
                assert_eq!(there, endpoint, "{}", page.name);
                let to = format!("{PUBLIC}/oauth2/sign_out");
                assert_eq!(parameter(query, back), Some(to), "{}", page.name);
                assert!(parameter(query, "client_id").is_some(), "{}", page.name);
                assert!(parameter(query, "id_token_hint").is_some(), "{}", page.name);
            }
            other => panic!("{}: {other:?}", page.name),
        }
        assert_eq!(world.idp.called("/realms/prefect/revoke") == 1, page.revokes, "{}", page.name);
        assert!(!world.log.join("").contains("planted"), "{}: {:?}", page.name, world.log);
    }
}

/// Whoever has no role by these claims gets none.
#[test]
fn people_without_a_role_are_told_so() {
    for page in pages() {
        let mut world = page.world();
        world.idp.claims = page.person.clone();
        let without = json!({
            "realm_access": null, "groups": null, "roles": null, "cognito:groups": null,
            "https://prefect.example.com/roles": null, "email": "eve@other.example",
        });
        for (name, value) in without.as_object().unwrap() {
            world.idp.claims[name] = value.clone();
        }
        let mut browser = Browser::default();
        let callback = browser.start_login(&mut world, "/");
        browser.load(&mut world, &callback);
        let refused = browser.fetch(&mut world, "GET", "/api/flows/1").status();
        // At Google everybody of the domain has a role, and nobody else comes in.
        let wanted = if page.name == "Google" { 401 } else { 403 };
        assert_eq!(refused, wanted, "{}", page.name);
    }
}

/// A machine is known by its credentials and by its token, and a person's ID token is none.
#[test]
fn machines_are_known() {
    for page in pages() {
        let mut world = page.world();
        let names = ["x-auth-request-user", "x-auth-request-groups"];
        if let Some(parameters) = &page.asked {
            world.idp.client_claims = page.machine.clone();
            let outcome = world.request(&asks(PAIR)).1;
            let sent = forwarded(&page, outcome);
            assert_eq!(values(&sent, names), page.machine_told, "{}", page.name);
            let form = Page::form(&world);
            for (name, value) in parameters {
                let asked = only(&form, name).unwrap();
                assert_eq!(asked.as_deref(), Some(*value), "{}", page.name);
            }
        }
        let mut claims = world.idp.machine_claims(world.now);
        merge(&mut claims, &page.machine);
        let token = world.idp.sign(&claims);
        let outcome = world.show(&token);
        let sent = forwarded(&page, outcome);
        assert_eq!(values(&sent, names), page.machine_told, "{}", page.name);

        let mut claims = world.idp.person_claims(world.now);
        merge(&mut claims, &page.person);
        let id_token = world.idp.sign(&claims);
        assert_eq!(world.show(&id_token).status(), 401, "{}: an ID token", page.name);
    }
}

/// A person in 200 groups, and names that are not plain words.
#[test]
fn groups_are_compared_as_they_are() {
    let odd =
        ["Data Engineers", "/data/readers", "données/équipe", "a,b", "ops \"prefect\"", "工程"];
    for name in odd {
        let mut settings = okta().settings();
        settings["roles"]["operator"] = json!([name]);
        let mut groups: Vec<String> = (0..200).map(|number| format!("group-{number}")).collect();
        groups.push(name.to_owned());
        for (groups, is_in) in [
            (json!(groups), true),
            (json!(&groups[..200]), false),
            (json!([name.to_uppercase() + "x", format!("{name} "), format!(" {name}")]), false),
        ] {
            let mut world = World::starting(&settings);
            let document = serde_json::from_str(okta().metadata.unwrap()).unwrap();
            world.idp.publish(document, &compile(&settings));
            world.work();
            world.idp.claims = okta().person;
            world.idp.claims["groups"] = groups;
            let mut browser = Browser::default();
            let callback = browser.start_login(&mut world, "/");
            browser.load(&mut world, &callback);
            let status = browser.fetch(&mut world, "GET", "/api/flows/1").status();
            assert_eq!(status, if is_in { 200 } else { 403 }, "{name}");
        }
    }
}

/// How each provider refuses a refresh token that it has revoked, and how it is overloaded.
const REFUSALS: [(&str, (u16, &str), (u16, &str)); 6] = [
    (
        "Keycloak",
        (400, r#"{"error":"invalid_grant","error_description":"Session not active"}"#),
        (503, ""),
    ),
    (
        "Okta",
        (
            400,
            r#"{"error":"invalid_grant","error_description":"The refresh token is invalid or expired."}"#,
        ),
        (
            429,
            r#"{"errorCode":"E0000047","errorSummary":"API call exceeded rate limit","errorCauses":[]}"#,
        ),
    ),
    (
        "Entra ID",
        (
            400,
            r#"{"error":"invalid_grant","error_description":"AADSTS50173: revoked","error_codes":[50173],"timestamp":"2026-11-30 10:00:00Z","trace_id":"t","correlation_id":"c","suberror":"bad_token"}"#,
        ),
        (
            503,
            r#"{"error":"temporarily_unavailable","error_description":"AADSTS90033","error_codes":[90033]}"#,
        ),
    ),
    (
        "Google",
        (
            400,
            r#"{"error":"invalid_grant","error_description":"Token has been expired or revoked."}"#,
        ),
        (500, r#"{"error":"internal_failure"}"#),
    ),
    (
        "Cognito",
        (400, r#"{"error":"invalid_grant"}"#),
        (429, r#"{"__type":"TooManyRequestsException"}"#),
    ),
    (
        "Auth0",
        (
            403,
            r#"{"error":"invalid_grant","error_description":"Unknown or invalid refresh token."}"#,
        ),
        (
            429,
            r#"{"error":"too_many_requests","error_description":"Global limit has been reached"}"#,
        ),
    ),
];

/// A revoked session ends. One whose provider is overloaded goes on.
#[test]
fn a_session_ends_when_the_provider_says_so() {
    for page in pages() {
        let (_, revoked, overloaded) = REFUSALS.iter().find(|row| row.0 == page.name).unwrap();
        for ((status, body), wanted) in [(revoked, 401), (overloaded, 200)] {
            let mut world = page.world();
            world.idp.claims = page.person.clone();
            let mut browser = Browser::default();
            browser.log_in(&mut world, "/");
            world.pass(301);
            world.idp.instead_of_tokens = Some((*status, body.as_bytes().to_vec()));
            let outcome = browser.fetch(&mut world, "GET", "/api/flows/1").status();
            assert_eq!(outcome, wanted, "{}: {status} {body}", page.name);
        }
    }
}
