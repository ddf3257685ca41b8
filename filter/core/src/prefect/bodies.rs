//! Classifies queries and bodies as Prefect would read them. Doubtful ones are assigned the worst
//! case.

use serde_json::Value;

const NAME: &str = "include_secrets";

/// Returns whether a query may ask for the secrets of blocks.
///
/// Prefect decodes escapes in names and values, and uses the last of several values. Other servers
/// behind Lictor may also split a query at `;`.
pub(super) fn asked_by_query(query: &str) -> bool {
    if query.is_empty() {
        return false;
    }
    let pairs = query.split(['&', ';']).flat_map(|pair| form_urlencoded::parse(pair.as_bytes()));
    let mut values = pairs.filter(|(name, _)| name.eq_ignore_ascii_case(NAME));
    match (values.next(), values.next()) {
        (None, _) => false,
        (Some((_, value)), None) => !matches!(value.as_ref(), "false" | "False" | "0"),
        (Some(_), Some(_)) => true,
    }
}

/// A condition on a body under which more roles may call an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyRule {
    /// The body does not ask for the secrets of blocks.
    AsksForNoSecrets,
    /// The body pauses or resumes a deployment, and changes nothing else.
    OnlyPauses,
}

impl BodyRule {
    /// Returns whether a body satisfies the condition.
    ///
    /// Prefect accepts JSON in any encoding that Python detects, and uses the last of several
    /// members with the same name. So only a single JSON object in UTF-8 without repeated members
    /// can satisfy the condition.
    pub(super) fn allows(self, body: &[u8]) -> bool {
        if body.is_empty() {
            return self == Self::AsksForNoSecrets;
        }
        let Ok(Value::Object(members)) = crate::foundation::json::parse(body) else { return false };
        match self {
            Self::AsksForNoSecrets => !members.iter().any(|(name, value)| {
                name.eq_ignore_ascii_case(NAME) && *value != Value::Bool(false)
            }),
            Self::OnlyPauses => {
                members.len() == 1 && members.get("paused").is_some_and(Value::is_boolean)
            }
        }
    }

    /// Describes a body that does not satisfy the condition, for logs.
    pub(super) const fn unless(self) -> &'static str {
        match self {
            Self::AsksForNoSecrets => "that may ask for secrets",
            Self::OnlyPauses => "that may do more than pause",
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_query_asks_unless_it_plainly_does_not() {
        for query in [
            "include_secrets=true",
            "include_secrets=1",
            "include_secrets",
            "include_secrets=",
            "include%5Fsecrets=t",
            "%69nclude_secrets=on",
            "INCLUDE_SECRETS=true",
            "include_secrets=false&include_secrets=true",
            "a=b&include_secrets=yes",
            "a=b;include_secrets=yes",
            "include_secrets=false;include_secrets=true",
            "include_secrets=false&include_secrets=false",
            "include_secrets=false%00",
            "include_secrets=%66alse&&include_secrets=true",
        ] {
            assert!(asked_by_query(query), "{query}");
        }
        for query in [
            "",
            "limit=5",
            "include_secrets=false",
            "include_secrets=0",
            "include%5Fsecrets=%66alse",
            "x=include_secrets",
            "include_secrets_=true",
        ] {
            assert!(!asked_by_query(query), "{query}");
        }
    }

    #[test]
    fn a_body_asks_for_secrets_unless_it_plainly_does_not() {
        let utf_16 =
            |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        for body in [
            r#"{"include_secrets":true}"#.as_bytes(),
            br#"{"include_secrets":"false"}"#,
            br#"{"include_secrets":0}"#,
            br#"{"include_secrets":null}"#,
            br#"{"include\u005fsecrets":true}"#,
            br#"{"\u0069nclude_secrets":1}"#,
            br#"{"include_secrets":true,"include_secrets":false}"#,
            br#"{"include_secrets":false,"include\u005fsecrets":true}"#,
            br#"{"include_secrets":false}{"include_secrets":true}"#,
            br#"{"Include_Secrets":true}"#,
            br#"[{"include_secrets":false}]"#,
            b"null",
            b"{",
            b"include_secrets=false",
            b"{\"a\":NaN}",
            b"\xef\xbb\xbf{}",
            b"{\"a\":\"\xff\"}",
            b"\x1f\x8b\x08\x00",
            &utf_16("{}"),
            &utf_16(r#"{"include_secrets":true}"#),
            format!("{}{}", "[".repeat(33), "]".repeat(33)).as_bytes(),
        ] {
            assert!(!BodyRule::AsksForNoSecrets.allows(body), "{}", String::from_utf8_lossy(body));
        }
        for body in [
            "",
            "{}",
            r#"{"include_secrets":false}"#,
            r#"{"limit":5,"block_documents":{"is_anonymous":{"eq_":false}}}"#,
            r#" {"block_documents":{"name":{"any_":["include_secrets"]}}} "#,
        ] {
            assert!(BodyRule::AsksForNoSecrets.allows(body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn a_body_pauses_and_does_nothing_else() {
        for body in [r#"{"paused":true}"#, r#" {"paused": false} "#, r#"{"\u0070aused":true}"#] {
            assert!(BodyRule::OnlyPauses.allows(body.as_bytes()), "{body}");
        }
        for body in [
            "",
            "{}",
            "true",
            r#"{"paused":1}"#,
            r#"{"paused":null}"#,
            r#"{"paused":"true"}"#,
            r#"{"Paused":true}"#,
            r#"{"paused":true,"path":"/x"}"#,
            r#"{"paused":true,"paused":false}"#,
            r#"{"paused":true} {"path":"/x"}"#,
        ] {
            assert!(!BodyRule::OnlyPauses.allows(body.as_bytes()), "{body}");
        }
    }
}
