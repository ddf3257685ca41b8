//! The `Cookie` request header (RFC 6265bis §5.8): finding ours, leaving the others byte-exact.

use crate::http::request::RequestView;
use crate::limits::COOKIE_HEADER;

/// The cookies are more than Lictor reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

/// All cookie pairs of a request, in order, over all its lines.
#[derive(Clone, Debug)]
pub struct Cookies<'a>(Vec<(&'a [u8], &'a [u8])>);

impl<'a> Cookies<'a> {
    /// Reads every `Cookie` line.
    ///
    /// # Errors
    /// When they are longer than [`COOKIE_HEADER`].
    pub fn parse(request: RequestView<'a>) -> Result<Self, TooLarge> {
        if request.all("cookie").map(<[u8]>::len).sum::<usize>() > COOKIE_HEADER {
            return Err(TooLarge);
        }
        let pairs = request.all("cookie").flat_map(|line| line.split(|b| *b == b';')).map(pair);
        Ok(Self(pairs.filter(|(name, value)| !(name.is_empty() && value.is_empty())).collect()))
    }

    /// The values of the cookies with exactly this name. Two of one name are possible: a sibling
    /// domain may have planted one (docs/threats.md, T-S4).
    pub fn named<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'a [u8]> + 'b {
        self.0.iter().filter(move |(n, _)| *n == name.as_bytes()).map(|(_, value)| *value)
    }

    /// The first value of each name that begins so, for the first `most` names: a sibling domain
    /// may plant hundreds, and each costs an attempt to open it.
    #[must_use]
    pub fn with_prefix(&self, prefix: &str, most: usize) -> Vec<(&'a str, &'a [u8])> {
        let mut found: Vec<(&str, &[u8])> = Vec::new();
        for (name, value) in &self.0 {
            let Ok(name) = core::str::from_utf8(name) else { continue };
            if found.len() < most
                && name.starts_with(prefix)
                && !found.iter().any(|(n, _)| *n == name)
            {
                found.push((name, value));
            }
        }
        found
    }

    /// The header without the cookies that `ours` names; `None` when nothing is left.
    #[must_use]
    pub fn without(&self, ours: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
        let kept: Vec<Vec<u8>> = self
            .0
            .iter()
            .filter(|(name, _)| !ours(name))
            .map(|(name, value)| {
                // A pair without "=" is a nameless cookie: it goes on as it came.
                if name.is_empty() { value.to_vec() } else { [*name, b"=", *value].concat() }
            })
            .collect();
        (!kept.is_empty()).then(|| kept.join(b"; ".as_slice()))
    }
}

fn pair(text: &[u8]) -> (&[u8], &[u8]) {
    let text = text.trim_ascii();
    match text.iter().position(|b| *b == b'=') {
        Some(at) => {
            let (name, value) = text.split_at(at);
            (name.trim_ascii(), value.get(1..).unwrap_or_default().trim_ascii())
        }
        None => (&[], text),
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn request(lines: &[&[u8]]) -> Vec<(String, Vec<u8>)> {
        lines.iter().map(|l| ("cookie".to_owned(), l.to_vec())).collect()
    }

    fn without_ours(lines: &[&[u8]]) -> Option<Vec<u8>> {
        let headers = request(lines);
        let view = RequestView { headers: &headers, address: b"" };
        Cookies::parse(view).unwrap().without(|name| name.starts_with(b"__Host-lictor"))
    }

    #[test]
    fn ours_are_taken_out_and_the_rest_stays_byte_exact() {
        assert_eq!(
            without_ours(&[b"a=1; __Host-lictor=x; b=\"q=\xff\"", b"__Host-lictor-login-1=y; c"]),
            Some(b"a=1; b=\"q=\xff\"; c".to_vec())
        );
        assert_eq!(without_ours(&[b" __Host-lictor=x "]), None);
        assert_eq!(without_ours(&[b";;  ;"]), None);
    }

    #[test]
    fn a_name_is_matched_whole() {
        let headers =
            request(&[b"x__Host-lictor=evil; __Host-lictor=1; __host-lictor=2; __Host-lictor=3"]);
        let view = RequestView { headers: &headers, address: b"" };
        let cookies = Cookies::parse(view).unwrap();
        assert_eq!(cookies.named("__Host-lictor").collect::<Vec<_>>(), [b"1", b"3"]);
    }

    #[test]
    fn the_header_is_bounded_on_both_sides() {
        let fits = vec![b'a'; COOKIE_HEADER];
        let headers = request(&[&fits]);
        assert!(Cookies::parse(RequestView { headers: &headers, address: b"" }).is_ok());
        let headers = request(&[&fits, b"b"]);
        assert!(Cookies::parse(RequestView { headers: &headers, address: b"" }).is_err());
    }
}
