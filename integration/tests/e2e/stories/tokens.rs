//! Access tokens: of every algorithm, of new keys, forged.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::people::assert_refusal;
use super::{Story, story};
use crate::client::Request;
use crate::forge::Token;
use crate::gateway::{Gateway, Plan};
use crate::http1::Answer;
use crate::keycloak_admin::{
    SigningKey, add_client, client_token, master_token, person_tokens, text, worker_token,
};
use crate::world::{eventually, prefect_sees_nothing, world};

const ABOUT: &str = "tokens";

pub fn stories() -> Vec<Story> {
    vec![
        story(ABOUT, "ES256 and a key that is new pass at once", es256).apart().changing_realm(),
        story(ABOUT, "after a rotation of keys the new one passes at once", rotation)
            .apart()
            .changing_realm(),
        story(ABOUT, "a second unknown key within ten seconds is 503 and soon passes", soon_again)
            .apart()
            .changing_realm(),
        story(ABOUT, "unsigned, HS256, embedded and changed tokens are refused", forged).counting(),
        story(ABOUT, "a token for others or of others is refused", foreign).counting(),
        story(ABOUT, "ID and refresh tokens are no credentials", other_kinds).counting(),
        story(ABOUT, "a person's token carries the person's role", person),
        story(ABOUT, "an expired token is refused", expired).apart().early(),
    ]
}

fn header_of(token: &str) -> Value {
    Token::parse(token).header
}

fn es256() {
    short_lived();
    let gateway = Plan::new("es256").workers(1).start();
    let _key = SigningKey::add("es256-e2e", "ecdsa-generated", ("ecdsaEllipticCurveKey", "P-256"));
    let secret = add_client("es256-e2e", |client| {
        client["attributes"]["access.token.signed.response.alg"] = "ES256".into();
    });
    let token = client_token("es256-e2e", &secret);
    assert_eq!(header_of(&token)["alg"], "ES256");
    // The service account has no role: proved, and told so.
    let answer = gateway.gate.version_by(&token).expect(403);
    assert_refusal(&answer, "no_role");
    let mut broken = Token::parse(&token);
    broken.signature[10] ^= 1;
    assert_refusal(&gateway.gate.version_by(&broken.text()).expect(401), "invalid_token");
}

fn rotation() {
    let gateway = Plan::new("rotation").workers(1).start();
    let old = worker_token();
    gateway.gate.version_by(&old).expect(200);
    let _key = SigningKey::add("rsa-e2e", "rsa-generated", ("keySize", "2048"));
    let new = worker_token();
    assert_ne!(header_of(&new)["kid"], header_of(&old)["kid"], "Keycloak has not rotated");
    gateway.gate.version_by(&new).expect(200);
    gateway.gate.version_by(&old).expect(200);
}

fn soon_again() {
    let gateway = Plan::new("soon").workers(1).start();
    // On a busy machine a new key may take longer than the ten seconds: then with one more.
    let (_key, token) = (0..5).find_map(|_| unknown_again(&gateway)).expect("a key in time");
    eventually("the new key counts", Duration::from_secs(13), || {
        let answer = gateway.gate.version_by(&token);
        assert!(matches!(answer.status, 200 | 503), "a false {}", answer.status);
        (answer.status == 200).then_some(())
    });
}

/// A second key that is unknown while the first one has just been asked for, and a token under it;
/// nothing if it came too late for that.
fn unknown_again(gateway: &Gateway) -> Option<(SigningKey, String)> {
    let begun = Instant::now();
    let first = SigningKey::add("rsa-first", "rsa-generated", ("keySize", "2048"));
    gateway.gate.version_by(&worker_token()).expect(200);
    let second = SigningKey::add("rsa-second", "rsa-generated", ("keySize", "2048"));
    drop(first);
    let token = worker_token();
    let before = gateway.admin.reached_prefect();
    let answer = gateway.gate.version_by(&token);
    if answer.status == 200 {
        assert!(begun.elapsed() > Duration::from_secs(10), "asked for again too soon");
        return None;
    }
    assert_eq!(gateway.admin.reached_prefect(), before, "something reached Prefect");
    let answer = answer.expect(503);
    let pause: u32 = answer.header("retry-after").expect("when to come again").parse().unwrap();
    assert!(pause <= 10, "{pause}");
    Some((second, token))
}

#[track_caller]
fn refused(what: &str, token: &str) -> Answer {
    let answer = prefect_sees_nothing(world().admin, || world().gate.version_by(token));
    assert_eq!(answer.status, 401, "{what}: {}", answer.text());
    let challenge = answer.header("www-authenticate").unwrap_or_default();
    assert!(challenge.contains("invalid_token"), "{what}: {challenge}");
    answer
}

fn forged() {
    let text = worker_token();
    let good = Token::parse(&text);
    world().gate.version_by(&text).expect(200);
    for spelling in ["none", "None", "NONE", "nOnE", ""] {
        refused(spelling, &good.clone().unsigned(spelling));
    }
    let jwks = jwks();
    for secret in public_keys(&jwks) {
        refused("HS256 with the public key", &good.clone().hs256(&secret));
    }
    refused("ES256 of its own under our kid", &good.clone().es256(|_, _| ()));
    refused(
        "an embedded key",
        &good.clone().es256(|header, jwk| {
            header["jwk"] = jwk;
            header.as_object_mut().unwrap().remove("kid");
        }),
    );
    refused("a crit header", &{
        let mut token = good.clone();
        token.header["crit"] = json!(["exp"]);
        token.text()
    });
    let mut changed = good.clone();
    changed.claims["realm_access"]["roles"] = json!(["prefect-admin"]);
    refused("changed claims", &changed.text());
    let mut broken = good.clone();
    broken.signature[100] ^= 1;
    refused("a changed signature", &broken.text());
    broken.signature.clear();
    refused("an empty signature", &broken.text());
    for noise in ["a.b.c", "eyJhbGciOiJSUzI1NiJ9..", &format!("{text}.x"), &text[..text.len() - 4]]
    {
        refused(noise, noise);
    }
}

fn jwks() -> Value {
    let path = "/realms/prefect/protocol/openid-connect/certs";
    let port = world().layout.ports.keycloak;
    crate::client::plain(port, &Request::get(path)).unwrap().expect(200).json()
}

/// The public signing key in the forms that confused libraries have used as an HMAC secret.
fn public_keys(jwks: &Value) -> Vec<Vec<u8>> {
    let keys = jwks["keys"].as_array().unwrap();
    let key = keys.iter().find(|key| key["alg"] == "RS256").unwrap();
    let certificate = key["x5c"][0].as_str().unwrap().as_bytes().to_vec();
    vec![text(key, "n").into_bytes(), key.to_string().into_bytes(), certificate]
}

fn foreign() {
    refused("a token of the realm master", &master_token(world().layout.ports.keycloak));
    let other = add_client("other-audience", |client| {
        client["protocolMappers"][0]["config"]["included.client.audience"] = "account".into();
    });
    refused("another audience", &client_token("other-audience", &other));
    let none = add_client("no-audience", |client| client["protocolMappers"] = json!([]));
    refused("no audience", &client_token("no-audience", &none));
}

/// A token that lives for a second. Made by whichever test comes first, so that the minute of
/// leeway has gone by when [`expired`] needs it.
fn short_lived() -> &'static str {
    static TOKEN: OnceLock<String> = OnceLock::new();
    TOKEN.get_or_init(|| {
        let secret = add_client("short-lived", |client| {
            client["attributes"]["access.token.lifespan"] = "1".into();
        });
        let token = client_token("short-lived", &secret);
        assert_refusal(&world().gate.version_by(&token).expect(403), "no_role");
        token
    })
}

fn expired() {
    let token = short_lived();
    let end = Token::parse(token).claims["exp"].as_u64().unwrap();
    // 60 s of leeway for clocks.
    let answer = eventually("the token has expired", Duration::from_secs(70), || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let answer = world().gate.version_by(token);
        let verdict = if now > end + 61 { 401 } else { answer.status };
        assert_eq!(answer.status, verdict, "{now} is after {end} and the leeway");
        (answer.status == 401).then_some(answer)
    });
    assert_refusal(&answer, "invalid_token");
}

fn other_kinds() {
    let all = person_tokens("alice");
    world().gate.version_by(&text(&all, "access_token")).expect(200);
    refused("an ID token", &text(&all, "id_token"));
    refused("a refresh token", &text(&all, "refresh_token"));
}

fn person() {
    for (user, status) in [("alice", 200), ("bob", 403), ("carol", 403), ("dave", 403)] {
        let token = text(&person_tokens(user), "access_token");
        let request = Request::post("/api/variables/filter", "{}")
            .header("authorization", format!("Bearer {token}"));
        let read = world().gate.send(&request);
        assert_eq!(read.status, if user == "dave" { 403 } else { 200 }, "{user} reads");
        let request =
            Request::post("/api/variables/", &format!("{{\"name\":\"e2e_{user}\",\"value\":1}}"))
                .header("authorization", format!("Bearer {token}"));
        let written = world().gate.send(&request).status;
        assert_eq!(written, if status == 200 { 201 } else { 403 }, "{user} writes");
    }
}
