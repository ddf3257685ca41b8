//! JSONTestSuite: what the reader of every answer of the provider makes of 318 texts.

#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::foundation::json::parse;
use include_dir::{Dir, include_dir};

use crate::tests::conformance::report;

static TEXTS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/tests/data/json-parsing");

/// Well-formed, and refused on purpose: a member name twice has no one meaning (RFC 7515 §4).
const NO_ONE_MEANING: [&str; 2] =
    ["y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"];

#[test]
fn texts() {
    let (mut refused, mut malformed, mut agreed, mut well_formed) = (0, 0, 0, 0);
    for file in TEXTS.files() {
        let name = file.path().to_str().unwrap();
        let parsed = parse(file.contents());
        match name.get(..2) {
            Some("n_") => {
                malformed += 1;
                refused += usize::from(parsed.is_err());
            }
            Some("y_") => {
                well_formed += 1;
                let wanted = !NO_ONE_MEANING.contains(&name);
                assert_eq!(parsed.is_ok(), wanted, "{name}: {parsed:?}");
                agreed += 1;
            }
            // Any verdict, as long as there is one.
            _ => {}
        }
    }
    assert!(parse(&[b'['; 100_000]).is_err());
    report("json-malformed-refused", refused, malformed, 188);
    report("json-well-formed-as-meant", agreed, well_formed, 95);
}
