//! Dates of HTTP: RFC 9110, 5.6.7, and RFC 6265, 5.1.1 for those in cookies.

use std::time::{Duration, SystemTime};

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// The moment that `text` names, in whichever of the three forms: it is taken apart as RFC 6265 does for cookies, which
/// have worse ones. Always UTC, and never before 1970.
pub(super) fn parse(text: &str) -> Option<SystemTime> {
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    for word in text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == ':')) {
        let number = word.parse::<u64>().ok();
        let lower = word.to_ascii_lowercase();
        let named = MONTHS.iter().position(|name| lower.get(..3) == Some(name));
        if word.contains(':') {
            time = time.or(clock(word));
        } else if let (Some(number), None) = (number.filter(|_| word.len() <= 2), day) {
            day = Some(number);
        } else if let (None, Some(position)) = (month, named) {
            month = u64::try_from(position).ok();
        } else if let (Some(number), None) = (number, year) {
            year = Some(match number {
                0..70 => number + 2000,
                70..100 => number + 1900,
                _ => number,
            });
        }
    }
    let days = days_before(year?, month?)?.checked_add(day.filter(|day| (1..=31).contains(day))? - 1)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(days * 86_400 + time?))
}

/// Seconds since midnight.
fn clock(word: &str) -> Option<u64> {
    let mut parts = word.split(':').map(|part| part.parse::<u64>().ok());
    let (hours, minutes) = (parts.next()??, parts.next()??);
    let seconds = parts.next().unwrap_or(Some(0))?;
    (hours < 24 && minutes < 60 && seconds <= 60).then_some(hours * 3600 + minutes * 60 + seconds)
}

/// Days between 1970 and the first of a month, which counts from 0.
fn days_before(year: u64, month: u64) -> Option<u64> {
    const BEFORE: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    if !(1970..10_000).contains(&year) {
        return None;
    }
    let leap_days = |year: u64| year / 4 - year / 100 + year / 400;
    let is_leap = (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400);
    let this_year = u64::from(is_leap && month > 1);
    let before = BEFORE.get(usize::try_from(month).ok()?)?;
    Some((year - 1970) * 365 + leap_days(year - 1) - leap_days(1969) + before + this_year)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_names_the_same_moment() {
        let forms = [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "06 nov 1994 08:49:37",
        ];
        for form in forms {
            let moment = parse(form).unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap();
            assert_eq!(moment.as_secs(), 784_111_777, "{form}");
        }
    }

    #[test]
    fn leap_days_count() {
        let days = |text: &str| {
            parse(text).unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() / 86_400
        };
        assert_eq!(days("1 Jan 1970 00:00:00"), 0);
        assert_eq!(days("29 Feb 2000 00:00:00"), 11_016);
        assert_eq!(days("1 Mar 2024 00:00:00"), 19_783);
        assert_eq!(days("31 Dec 2026 00:00:00"), 20_818);
    }

    #[test]
    fn nonsense_is_no_date() {
        for text in [
            "",
            "Sun",
            "31 Dec 1969 00:00:00",
            "1 Foo 2000 00:00:00",
            "1 Jan 2000 25:00:00",
            "0 Jan 2000 1:1:1",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
