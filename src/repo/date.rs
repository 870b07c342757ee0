//! Dates as people write them.

/// Seconds since 1970 of a date in any form that `--shallow-since` and the like take: ISO 8601, RFC 2822, `2 weeks ago`.
/// `None` if it cannot be understood.
pub fn parse_date(text: &str) -> Option<i64> {
    if let [year @ .., _, _, _, _] = text.as_bytes() {
        let is_compact = year.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit());
        if let (true, Some((year, rest))) = (is_compact, text.split_at_checked(4)) {
            let (month, day) = rest.split_at_checked(2)?;
            return parse_date(&format!("{year}-{month}-{day}T00:00:00Z"));
        }
    }
    gix_date::parse(text, Some(jiff::Zoned::now())).ok().map(|time| time.seconds)
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
        assert_eq!(parse_date("no date at all"), None);
    }
}
