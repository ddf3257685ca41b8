//! The `Cookie` request header (RFC 6265bis §5.8): finding Lictor's cookies, and removing them
//! without changing the others.

use crate::foundation::limits::COOKIE_HEADER;
use crate::wire::http::request::RequestView;

/// The error of `Cookie` lines that are longer than [`COOKIE_HEADER`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLarge;

/// All cookies of a request, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cookies<'a> {
    pairs: Vec<(&'a [u8], &'a [u8])>,
    lines: Vec<&'a [u8]>,
}

/// The `Cookie` header without some of its cookies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// No cookie was removed: the header stays as it is.
    Same,
    /// The remaining cookies, as one header line.
    Others(Vec<u8>),
    /// No cookie remains.
    Nothing,
}

impl<'a> Cookies<'a> {
    /// Reads all `Cookie` lines.
    ///
    /// # Errors
    /// When all lines together are longer than [`COOKIE_HEADER`].
    pub(crate) fn parse(request: RequestView<'a>) -> Result<Self, TooLarge> {
        if request.all("cookie").map(<[u8]>::len).sum::<usize>() > COOKIE_HEADER {
            return Err(TooLarge);
        }
        let lines: Vec<&[u8]> = request.all("cookie").collect();
        let pairs = lines.iter().flat_map(|line| texts(line)).map(pair);
        let pairs = pairs.filter(|(name, value)| !(name.is_empty() && value.is_empty())).collect();
        Ok(Self { pairs, lines })
    }

    /// Returns the values of all cookies with exactly this name.
    ///
    /// There may be several: a sibling domain may have planted one (docs/threats.md, T-S4).
    pub(crate) fn named<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'a [u8]> + 'b {
        self.pairs.iter().filter(move |(n, _)| *n == name.as_bytes()).map(|(_, value)| *value)
    }

    /// Returns names with a prefix, each with its first value, for the first `most` names.
    ///
    /// A sibling domain may plant hundreds of cookies, and each costs an attempt to open it.
    #[must_use]
    pub(crate) fn with_prefix(&self, prefix: &str, most: usize) -> Vec<(&'a str, &'a [u8])> {
        let mut found: Vec<(&str, &[u8])> = Vec::new();
        for (name, value) in &self.pairs {
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

    /// Returns the header without the cookies whose name `is_ours` accepts.
    ///
    /// The text of other cookies between two semicolons stays byte-exact: other applications may
    /// parse it by rules of their own.
    #[must_use]
    pub(crate) fn without(&self, is_ours: impl Fn(&[u8]) -> bool) -> Rest {
        let count = self.pairs.iter().filter(|(name, _)| is_ours(name)).count();
        if count == 0 {
            return Rest::Same;
        }
        if count == self.pairs.len() {
            return Rest::Nothing;
        }
        let mut remaining = Vec::new();
        for line in &self.lines {
            let others: Vec<&[u8]> = texts(line).filter(|text| !is_ours(pair(text).0)).collect();
            let line = others.join(b";".as_slice()).trim_ascii_start().to_vec();
            if line.iter().any(|b| !b.is_ascii_whitespace() && *b != b';') {
                remaining.push(line);
            }
        }
        if remaining.is_empty() {
            Rest::Nothing
        } else {
            Rest::Others(remaining.join(b"; ".as_slice()))
        }
    }
}

/// Returns the texts between the semicolons of a line.
fn texts(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ends = memchr::memchr_iter(b';', line).chain(core::iter::once(line.len()));
    let mut from = 0;
    ends.map(move |end| {
        let text = line.get(from..end).unwrap_or_default();
        from = end.saturating_add(1);
        text
    })
}

/// Splits a cookie into name and value. The name is empty without an equals sign.
fn pair(text: &[u8]) -> (&[u8], &[u8]) {
    let text = text.trim_ascii();
    match memchr::memchr(b'=', text) {
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

    fn without_ours(lines: &[&[u8]]) -> Rest {
        let headers = request(lines);
        let view = RequestView { headers: &headers };
        Cookies::parse(view).unwrap().without(|name| name.starts_with(b"__Host-lictor"))
    }

    #[test]
    fn ours_are_taken_out_and_the_rest_stays_byte_exact() {
        for (lines, rest) in [
            (
                &[&b"a=1; __Host-lictor=x; b=\"q=\xff\""[..], b"__Host-lictor-login-1=y; c"][..],
                &b"a=1; b=\"q=\xff\"; c"[..],
            ),
            (&[b"a=1;b=2;;c=\"3;4\" ;__Host-lictor=x;d"], b"a=1;b=2;;c=\"3;4\" ;d"),
            (&[b"__Host-lictor=x;  a= 1 "], b"a= 1 "),
        ] {
            assert_eq!(without_ours(lines), Rest::Others(rest.to_vec()));
        }
        assert_eq!(without_ours(&[b" __Host-lictor=x "]), Rest::Nothing);
        assert_eq!(without_ours(&[b";; __Host-lictor=x ;"]), Rest::Nothing);
        assert_eq!(without_ours(&[b"a=1;b=2;;c=\"3;4\" ; d"]), Rest::Same);
        assert_eq!(without_ours(&[]), Rest::Same);
    }

    #[test]
    fn a_name_is_matched_whole() {
        let headers =
            request(&[b"x__Host-lictor=evil; __Host-lictor=1; __host-lictor=2; __Host-lictor=3"]);
        let view = RequestView { headers: &headers };
        let cookies = Cookies::parse(view).unwrap();
        assert_eq!(cookies.named("__Host-lictor").collect::<Vec<_>>(), [b"1", b"3"]);
    }

    #[test]
    fn the_header_is_bounded_on_both_sides() {
        let fits = vec![b'a'; COOKIE_HEADER];
        let headers = request(&[&fits]);
        assert!(Cookies::parse(RequestView { headers: &headers }).is_ok());
        let headers = request(&[&fits, b"b"]);
        assert!(Cookies::parse(RequestView { headers: &headers }).is_err());
    }
}
