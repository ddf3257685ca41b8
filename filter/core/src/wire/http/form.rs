//! Form bodies (`application/x-www-form-urlencoded`).

/// Returns the text of a body whose `Content-Type` is a form; `None` for any other body.
#[must_use]
pub(crate) fn text<'a>(content_type: Option<&str>, body: &'a [u8]) -> Option<&'a str> {
    let media_type = content_type?.split(';').next()?.trim();
    if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return None;
    }
    core::str::from_utf8(body).ok()
}
