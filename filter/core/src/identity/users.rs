//! Who may come: the setting `users`.

use serde_json::{Map, Value};

/// The people who may use Prefect, beside their role.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Users {
    /// The people who may come; `None` if the provider alone decides.
    pub(crate) allow: Option<Allowed>,
    /// Whether an e-mail address is accepted of which the provider does not say whether it is
    /// verified.
    pub(crate) unverified_email: bool,
}

/// A list of people.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Allowed {
    /// Values of `sub`.
    pub(crate) subjects: Vec<String>,
    /// E-mail addresses.
    pub(crate) emails: Vec<String>,
    /// Domains of e-mail addresses, without their subdomains.
    pub(crate) domains: Vec<String>,
}

impl Users {
    /// Returns the e-mail address in the claims of a person's token, if it is accepted.
    ///
    /// An address that the provider has not verified may be anybody's (OpenID Connect Core §5.7).
    #[must_use]
    pub(crate) fn email<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a str> {
        let is_accepted = match claims.get("email_verified") {
            Some(verified) => *verified == Value::Bool(true),
            None => self.unverified_email,
        };
        let email = claims.get("email").and_then(Value::as_str);
        email.filter(|email| is_accepted && email.len() <= 254)
    }

    /// Returns whether a person may come. `email` is the accepted address.
    #[must_use]
    pub(crate) fn admits(&self, subject: &str, email: Option<&str>) -> bool {
        let Some(allow) = &self.allow else { return true };
        allow.subjects.iter().any(|known| known == subject)
            || email.is_some_and(|email| allow.has_email(email))
    }
}

impl Allowed {
    /// Returns whether the list has an address or its domain. Case makes no difference.
    fn has_email(&self, email: &str) -> bool {
        let Some(domain) = domain(email) else { return false };
        self.emails.iter().any(|known| known.eq_ignore_ascii_case(email))
            || self.domains.iter().any(|known| known.eq_ignore_ascii_case(domain))
    }
}

/// Returns the domain of an address; `None` if the text could be read as another address.
#[must_use]
pub(crate) fn domain(email: &str) -> Option<&str> {
    let (name, domain) = email.split_once('@')?;
    let plain = |text: &str| {
        let odd = |c: char| c.is_whitespace() || c.is_control() || "@,;:<>()[]\"\\".contains(c);
        !text.is_empty() && !text.contains(odd)
    };
    (plain(name) && plain(domain)).then_some(domain)
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use serde_json::json;

    use super::*;

    fn users(unverified_email: bool) -> Users {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let allow = Allowed {
            subjects: texts(&["s-1"]),
            emails: texts(&["alice@example.org"]),
            domains: texts(&["example.com"]),
        };
        Users { allow: Some(allow), unverified_email }
    }

    #[test]
    fn people_are_compared_as_a_whole() {
        for (subject, email, wanted) in [
            ("s-1", None, true),
            ("s-1", Some("x@evil.example"), true),
            ("s-10", None, false),
            ("S-1", None, false),
            ("", None, false),
            ("x", Some("alice@example.org"), true),
            ("x", Some("Alice@Example.ORG"), true),
            ("x", Some("alice@example.org.evil.example"), false),
            ("x", Some("malice@example.org"), false),
            ("x", Some("bob@example.com"), true),
            ("x", Some("bob@EXAMPLE.com"), true),
            ("x", Some("bob@sub.example.com"), false),
            ("x", Some("bob@evil-example.com"), false),
            ("x", Some("bob@example.com."), false),
            ("x", Some("bob@example.com@evil.example"), false),
            ("x", Some("bob@evil.example@example.com"), false),
            ("x", Some("\"a@b\"@example.com"), false),
            ("x", Some("bob@evil.example, bob@example.com"), false),
            ("x", Some("<bob@example.com>"), false),
            ("x", Some("bob@example.com\u{0}"), false),
            ("x", Some(" @example.com"), false),
            ("x", Some("@example.com"), false),
            ("x", Some("example.com"), false),
            ("x", Some("s-1"), false),
            // A letter of another alphabet.
            ("x", Some("bob@ex\u{430}mple.com"), false),
        ] {
            assert_eq!(users(false).admits(subject, email), wanted, "{subject} {email:?}");
        }
        let open = Users { allow: None, unverified_email: false };
        assert!(open.admits("anybody", None));
    }

    #[test]
    fn an_address_is_accepted_if_the_provider_has_verified_it() {
        let email = "alice@example.org";
        for (claims, strict, lenient) in [
            (json!({"email": email, "email_verified": true}), true, true),
            (json!({"email": email, "email_verified": false}), false, false),
            (json!({"email": email, "email_verified": "true"}), false, false),
            (json!({"email": email, "email_verified": 1}), false, false),
            (json!({"email": email, "email_verified": null}), false, false),
            (json!({"email": email}), false, true),
            (json!({"email": [email], "email_verified": true}), false, false),
            (json!({"email_verified": true}), false, false),
        ] {
            let claims = claims.as_object().unwrap();
            let seen = [false, true].map(|lenient| users(lenient).email(claims).is_some());
            assert_eq!(seen, [strict, lenient], "{claims:?}");
        }
    }
}
