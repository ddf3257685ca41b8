//! Client certificates, with a chain of their own and the real Envoy to verify it.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType,
};
use ring::digest::{SHA256, digest};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};

use super::people::assert_refusal;
use super::{Story, story};
use crate::client::{Gate, Request};
use crate::gateway::{Gateway, Plan};
use crate::recorder::Recorder;
use crate::scripted_idp::{ScriptedIdp, now};
use crate::world::world;

const ABOUT: &str = "certificates";
const WORKER: &str = "spiffe://example.com/ns/flows/sa/worker";

pub fn stories() -> Vec<Story> {
    vec![story(ABOUT, "a verified certificate is a machine, any other is nobody", certificates)]
}

/// An authority and what it signs.
pub(super) struct Authority {
    pem: String,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its chain, as a client shows it.
struct Shown {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

pub(super) fn authority(name: &str, above: Option<&Authority>) -> Authority {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let made = match above {
        Some(above) => params.signed_by(&key, &above.issuer),
        None => params.self_signed(&key),
    };
    let made = made.unwrap();
    Authority { pem: made.pem(), der: made.der().clone(), issuer: Issuer::new(params, key) }
}

impl Authority {
    /// The certificate, in PEM.
    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for a name, for either end of a connection, and its key, both in PEM.
    pub(super) fn pair(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let both = [ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        params.extended_key_usages = both.into();
        let made = params.signed_by(&key, &self.issuer).unwrap();
        (made.pem(), key.serialize_pem())
    }

    fn sign(&self, uri: Option<&str>, dns: Option<&str>) -> Shown {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "a machine");
        let uris = uri.map(|uri| SanType::URI(uri.try_into().unwrap()));
        let names = dns.map(|dns| SanType::DnsName(dns.try_into().unwrap()));
        params.subject_alt_names.extend(uris.into_iter().chain(names));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let made = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        Shown { chain: vec![made.der().clone(), self.der.clone()], key }
    }
}

fn showing(gateway: &Gateway, shown: &Shown) -> Gate {
    let chain = (shown.chain.clone(), shown.key.clone_key());
    Gate::showing(&world().pki.ca, gateway.gate.port, chain)
}

/// A gate that verifies the certificates of an authority, and knows some of them.
fn trusting(root: &Authority, plan: Plan, mut settings: Value) -> Gateway {
    let ca: PathBuf = world().layout.state.join("machines-ca.pem");
    std::fs::write(&ca, &root.pem).unwrap();
    settings["machines"]["certificates"] = json!([
        { "name": "flows-worker", "role": "worker", "uri": WORKER },
        { "name": "reports", "role": "viewer", "dns": "reports.example.com" },
        { "name": "by-subject", "role": "viewer", "subject": "CN=nobody" },
    ]);
    // Beside Prefect's own certificate, not Keycloak's.
    let key =
        format!("              private_key: {{ filename: {} }}\n", json!(world().pki.prefect.key));
    let validation = format!(
        "            validation_context: {{ trusted_ca: {{ filename: {} }} }}\n",
        json!(ca)
    );
    plan.patch(settings).envoy(key.clone(), key + &validation).start()
}

/// A token that is bound to a certificate (RFC 8705).
fn bound_token(idp: &ScriptedIdp, to: &Shown) -> String {
    let hash = digest(&SHA256, &to.chain[0]);
    let script = idp.script();
    let mut claims = script.machine_claims(now());
    claims["cnf"] = json!({ "x5t#S256": URL_SAFE_NO_PAD.encode(hash.as_ref()) });
    format!("Bearer {}", script.sign(&claims))
}

fn certificates() {
    let root = authority("machines' root", None);
    let ours = authority("machines' authority", Some(&root));
    let foreign = authority("somebody else's authority", None);
    let (idp, recorder) = (ScriptedIdp::start(), Recorder::start());
    let plan = Plan::new("certificates").keycloak(idp.port).prefect(recorder.port);
    let gateway = trusting(&root, plan, idp.settings());
    recorder.take();
    let worker = ours.sign(Some(WORKER), None);
    let gate = showing(&gateway, &worker);
    gate.send(&Request::post("/api/flow_runs/filter", "{}")).expect(200);
    let head = recorder.take().heads.remove(0).to_ascii_lowercase();
    assert!(head.contains("x-auth-request-user: cert:flows-worker"), "{head}");
    assert!(head.contains("authorization: basic "), "Prefect's own secret is missing: {head}");
    assert_refusal(&gate.send(&Request::new("DELETE", "/api/flows/1")).expect(403), "role_missing");
    let reports = showing(&gateway, &ours.sign(None, Some("reports.example.com")));
    reports.get("/api/flows/1").expect(200);
    assert_refusal(&reports.send(&Request::post("/api/flows/", "{}")).expect(403), "role_missing");
    recorder.take();

    // Verified, and mapped to nobody; not shown; only said so in a header.
    let other = showing(&gateway, &ours.sign(Some(&format!("{WORKER}2")), None));
    assert_refusal(&other.get("/api/flows/1").expect(401), "not_authenticated");
    assert_refusal(&gateway.gate.get("/api/flows/1").expect(401), "not_authenticated");
    let said =
        Request::get("/api/flows/1").header("x-forwarded-client-cert", format!("URI={WORKER}"));
    assert_refusal(&gateway.gate.send(&said).expect(401), "not_authenticated");
    // Of another authority: Envoy ends the connection.
    let forged = showing(&gateway, &foreign.sign(Some(WORKER), None));
    assert!(forged.try_send(&Request::get("/api/flows/1")).is_err(), "a forged chain was accepted");
    // A page elsewhere can't use what the browser shows by itself.
    let page =
        Request::post("/api/flow_runs/filter", "{}").header("origin", "https://evil.example");
    assert_refusal(&gate.send(&page).expect(403), "csrf");
    assert_eq!(recorder.take().heads.len(), 0);

    let request = Request::get("/api/flows/1").header("authorization", bound_token(&idp, &worker));
    gate.send(&request).expect(200);
    for stolen in [&gateway.gate, &reports] {
        assert_refusal(&stolen.send(&request).expect(401), "invalid_token");
    }
    gateway.admin.assert_vm_alive();
}
