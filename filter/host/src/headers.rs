//! Header maps: lines in order, names in lower case, values as bytes.

/// The lines of a header map.
pub type Headers = Vec<(String, Vec<u8>)>;

/// Lines from texts.
#[must_use]
pub fn from_text(lines: &[(&str, &str)]) -> Headers {
    lines.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
}

/// The first line of a name.
#[must_use]
pub fn first<'a>(headers: &'a Headers, name: &str) -> Option<&'a [u8]> {
    headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_slice())
}

/// The first line of a name as text; `None` also for one that is not UTF-8.
#[must_use]
pub fn text<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    core::str::from_utf8(first(headers, name)?).ok()
}

/// Removes every line of a name.
pub(crate) fn remove(headers: &mut Headers, name: &str) {
    headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
}

/// As the ABI passes a map: the number of lines, the lengths of each, then the texts, each with a
/// zero byte behind it.
pub(crate) fn encode(headers: &Headers) -> Vec<u8> {
    let mut bytes = length(headers.len()).to_vec();
    for (name, value) in headers {
        bytes.extend(length(name.len()));
        bytes.extend(length(value.len()));
    }
    for (name, value) in headers {
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(value);
        bytes.push(0);
    }
    bytes
}

fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}

/// The reverse of [`encode`]; `None` if the lengths do not fit the bytes or a name is not UTF-8.
pub(crate) fn decode(bytes: &[u8]) -> Option<Headers> {
    if bytes.is_empty() {
        return Some(Headers::new());
    }
    let number = |at: usize| {
        let bytes = bytes.get(at..at.checked_add(4)?)?;
        usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
    };
    let count = number(0)?;
    let mut at = count.checked_mul(8)?.checked_add(4)?;
    let mut text = |length: usize| {
        let text = bytes.get(at..at.checked_add(length)?)?.to_vec();
        at = at.checked_add(length)?.checked_add(1)?;
        Some(text)
    };
    let mut headers = Headers::new();
    for line in 0..count {
        let lengths = line.checked_mul(8)?.checked_add(4)?;
        let name = String::from_utf8(text(number(lengths)?)?).ok()?;
        let value = text(number(lengths.checked_add(4)?)?)?;
        headers.push((name.to_ascii_lowercase(), value));
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_cross_the_border_unchanged() {
        let mut headers = from_text(&[(":path", "/x"), ("cookie", "a"), ("cookie", "")]);
        headers.push(("x-bytes".to_owned(), vec![0, 0xff]));
        assert_eq!(decode(&encode(&headers)), Some(headers));
        assert_eq!(decode(&[]), Some(Headers::new()));
    }

    #[test]
    fn lengths_that_do_not_fit_are_refused() {
        assert_eq!(decode(&[1, 0, 0]), None);
        assert_eq!(decode(&[255, 255, 255, 255]), None);
        let mut cut = encode(&from_text(&[("a", "bc")]));
        cut.truncate(cut.len() - 3);
        assert_eq!(decode(&cut), None);
    }
}
