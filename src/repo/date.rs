//! Dates as people write them.

/// Seconds since 1970 of a date in any form that `--shallow-since` and the like take: ISO 8601, RFC 2822, `2 weeks ago`.
/// A day alone means the present time of that day, and dots stand for spaces, as git has it. `None` if it cannot be
/// understood.
pub fn parse_date(text: &str) -> Option<i64> {
    if let [year @ .., _, _, _, _] = text.as_bytes() {
        let is_compact = year.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit());
        if let (true, Some((year, rest))) = (is_compact, text.split_at_checked(4)) {
            let (month, day) = rest.split_at_checked(2)?;
            return parse_date(&format!("{year}-{month}-{day}T00:00:00Z"));
        }
    }
    let now = jiff::Zoned::now();
    if let Some(day) = day_alone(text) {
        let moment = day.to_datetime(now.time()).to_zoned(now.time_zone().clone());
        return moment.ok().map(|moment| moment.timestamp().as_second());
    }
    let parse = |text: &str| gix_date::parse(text, Some(now.clone())).ok().map(|time| time.seconds);
    parse(text).or_else(|| text.contains('.').then(|| parse(&text.replace('.', " "))).flatten())
}

/// `YYYY-MM-DD` and nothing more.
fn day_alone(text: &str) -> Option<jiff::civil::Date> {
    let [year, month, day] = <[&str; 3]>::try_from(text.split('-').collect::<Vec<_>>()).ok()?;
    jiff::civil::Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::parse_date;

    #[test]
    fn common_forms_are_understood() {
        assert_eq!(parse_date("1970-01-02T00:00:00Z"), Some(86400));
        assert_eq!(parse_date("Fri, 2 Jan 1970 00:00:00 +0000"), Some(86400));
        assert_eq!(parse_date("19700102"), Some(86400));
        assert!(parse_date("2 weeks ago").is_some());
        assert_eq!(parse_date("2.weeks.ago"), parse_date("2 weeks ago"));
        assert_eq!(parse_date("2.Jan.1970.00:00:00.+0000"), Some(86400));
        assert_eq!(parse_date("no date at all"), None);
    }

    #[test]
    fn a_day_alone_is_the_present_time_of_that_day() {
        let seconds = parse_date("2024-01-04").unwrap();
        let then = jiff::Timestamp::from_second(seconds).unwrap().to_zoned(jiff::tz::TimeZone::system());
        assert_eq!(then.date(), jiff::civil::date(2024, 1, 4));
    }
}
