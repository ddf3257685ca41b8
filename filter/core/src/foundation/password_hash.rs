//! Hashes of passwords by bcrypt, as htpasswd files have them.

use core::ops::RangeInclusive;

use crate::foundation::secret::Secret;

/// Accepted costs. A check takes `2^cost` rounds, and stops an Envoy worker meanwhile.
const COSTS: RangeInclusive<u32> = 4..=10;

/// Longest password, in bytes. bcrypt ignores what is beyond.
pub(crate) const LONGEST: usize = 72;

/// A bcrypt hash with its salt and cost.
#[derive(Clone, Debug)]
pub(crate) struct PasswordHash {
    text: Secret,
    cost: u32,
}

/// Why a text is no accepted hash. It contains no part of the text but the cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadHash {
    /// What was found.
    pub(crate) found: String,
    /// What to write instead.
    pub(crate) wanted: &'static str,
}

/// What else an htpasswd file may have, by its prefix.
const OTHERS: [(&str, &str); 6] = [
    ("{SHA}", "SHA-1 without a salt"),
    ("$apr1$", "MD5"),
    ("$1$", "MD5"),
    ("$5$", "SHA-2 crypt"),
    ("$6$", "SHA-2 crypt"),
    ("$2x$", "bcrypt of a faulty program"),
];

const BCRYPT: &str = "bcrypt, as `htpasswd -nB <name>` makes it (or an API key)";

impl PasswordHash {
    /// Reads a hash: `$2y$`, `$2b$` or `$2a$`, two digits of cost, and 53 characters.
    ///
    /// # Errors
    /// For any other text, and for a cost outside of 4 to 10.
    pub(crate) fn read(text: &str) -> Result<Self, BadHash> {
        let bad = |found: &str, wanted| Err(BadHash { found: found.to_owned(), wanted });
        if let Some((_, found)) = OTHERS.iter().find(|(prefix, _)| text.starts_with(prefix)) {
            return bad(found, BCRYPT);
        }
        if !["$2y$", "$2b$", "$2a$"].into_iter().any(|prefix| text.starts_with(prefix)) {
            return bad("crypt, a password itself, or something else", BCRYPT);
        }
        let has_digits =
            text.get(4..6).is_some_and(|cost| cost.bytes().all(|b| b.is_ascii_digit()));
        let parts = text.parse::<bcrypt::HashParts>().ok().filter(|_| has_digits);
        let Some(parts) = parts else {
            return bad("a bcrypt hash that is incomplete, or not in its plain form", BCRYPT);
        };
        let cost = parts.get_cost();
        if !COSTS.contains(&cost) {
            let wanted = "a cost of 4 to 10: htpasswd -nB -C 10 (a check stops an Envoy worker)";
            return bad(&format!("a cost of {cost}"), wanted);
        }
        Ok(Self { text: Secret::new(text), cost })
    }

    /// Returns whether a password has this hash. It takes [`Self::rounds`] rounds in any case.
    #[must_use]
    pub(crate) fn fits(&self, password: &[u8]) -> bool {
        bcrypt::verify(password, self.text.expose_str()).unwrap_or(false)
    }

    /// Takes the rounds by which a check of `slowest` is longer. The sum of two equal powers of two
    /// is the next one, so one check of each cost in between is exactly that.
    pub(crate) fn pad(&self, slowest: &Self) {
        for cost in self.cost..slowest.cost {
            // The compiler must not leave it out. The function panics without a password.
            let _ = core::hint::black_box(bcrypt::bcrypt(cost, [0; 16], b"x"));
        }
    }

    /// Returns how many rounds a check takes.
    #[must_use]
    pub(crate) fn rounds(&self) -> u32 {
        1_u32.checked_shl(self.cost).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    /// Vectors of the Openwall project, and one by libxcrypt.
    const HASHES: [(&str, &str); 4] = [
        ("U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
        ("U*U*", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK"),
        ("U*U*U", "$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a"),
        ("\u{e4}", "$2y$04$abcdefghijklmnopqrstuuc1pqO32Jjm3MjkBXEuJk7AAzEdrKrQ."),
    ];

    #[test]
    fn a_hash_fits_its_password_alone() {
        for (password, text) in HASHES {
            let hash = PasswordHash::read(text).unwrap();
            assert!(hash.fits(password.as_bytes()), "{password}");
            for other in ["", "U", "u*u", "U*U*U*", " U*U"] {
                assert!(!hash.fits(other.as_bytes()), "{password}: {other}");
            }
            let b = PasswordHash::read(&text.replacen("$2a$", "$2b$", 1)).unwrap();
            assert!(b.fits(password.as_bytes()), "the versions are one algorithm");
        }
    }

    #[test]
    fn other_hashes_are_refused_with_what_to_do() {
        let good = HASHES[0].1;
        for (text, found) in [
            ("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "SHA-1"),
            ("$apr1$4bVTfpQp$Q0b5AJJ0zr0oyGsrqbDGs/", "MD5"),
            ("$1$abcdefgh$PXrcyyPMqIeEmSkJVrFfo0", "MD5"),
            ("$5$saltsalt$abc", "SHA-2"),
            ("$6$saltsalt$abc", "SHA-2"),
            (&good.replacen("$2a$", "$2x$", 1), "faulty"),
            ("rl5FQRVPmYpKk", "crypt"),
            ("password", "crypt"),
            ("", "crypt"),
            ("$2y$05$", "incomplete"),
            (&good[..59], "incomplete"),
            (&format!("{good}x"), "incomplete"),
            (&good.replacen("$05$", "$5x$", 1), "incomplete"),
            (&good.replacen("$05$", "$+5$", 1), "incomplete"),
            (&good.replacen("CCC.E5", "CCCCE5", 1), "incomplete"),
            (&good.replacen("$05$", "$03$", 1), "a cost of 3"),
            (&good.replacen("$05$", "$11$", 1), "a cost of 11"),
            (&good.replacen("$05$", "$31$", 1), "a cost of 31"),
            (&good.replacen("$05$", "$99$", 1), "a cost of 99"),
        ] {
            let bad = PasswordHash::read(text).unwrap_err();
            assert!(bad.found.contains(found), "{text}: {bad:?}");
            assert!(bad.wanted.contains("htpasswd"), "{text}: {bad:?}");
            assert!(text.len() < 12 || !bad.found.contains(&text[7..]), "a quote: {bad:?}");
        }
    }
}
