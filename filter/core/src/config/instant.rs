//! Times in settings: RFC 3339 in UTC, with whole seconds.

use crate::foundation::time::UnixTime;

/// Reads `YYYY-MM-DDTHH:MM:SSZ`, or `YYYY-MM-DD` for midnight; `None` for any other form.
#[must_use]
pub(crate) fn parse(text: &str) -> Option<UnixTime> {
    let (date, clock) = match text.split_once('T') {
        Some((date, clock)) => (date, clock.strip_suffix('Z')?),
        None => (text, "00:00:00"),
    };
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days_in = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let month_index = usize::try_from(month.checked_sub(1)?).ok()?;
    let valid = (1970..=9999).contains(&year)
        && (1..=*days_in.get(month_index)?).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !valid {
        return None;
    }
    let before: u64 = days_in.iter().take(month_index).sum();
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    let days = (year - 1970) * 365 + leaps(year - 1) - leaps(1969) + before + day - 1;
    Some(UnixTime::from_secs(((days * 24 + hour) * 60 + minute) * 60 + second))
}

/// Reads three numbers with fixed numbers of digits.
fn numbers(text: &str, separator: char, widths: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; 3];
    for (number, width) in numbers.iter_mut().zip(widths) {
        let part =
            parts.next().filter(|p| p.len() == width && p.bytes().all(|b| b.is_ascii_digit()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::parse;

    #[test]
    fn known_instants() {
        // The expected values come from `date -u -d … +%s`.
        for (text, secs) in [
            ("1970-01-01", 0),
            ("2000-02-29T12:00:00Z", 951_825_600),
            ("2026-11-24T10:00:00Z", 1_795_514_400),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
        ] {
            assert_eq!(
                parse(text).map(crate::foundation::time::UnixTime::secs),
                Some(secs),
                "{text}"
            );
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "2026",
            "2026-13-01",
            "2026-02-29",
            "2026-1-1",
            "2026-11-24T10:00:00",
            "2026-11-24T24:00:00Z",
            "2026-11-24T10:00:00+01:00",
            "0001-01-01",
            "2026-00-10",
        ] {
            assert!(parse(text).is_none(), "{text}");
        }
    }
}
