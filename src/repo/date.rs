//! Dates as people write them.

/// Seconds since 1970 of a date in any form that `--shallow-since` and the like take: ISO 8601, RFC 2822, `2 weeks ago`.
/// `None` if it cannot be understood.
pub fn parse_date(text: &str) -> Option<i64> {
    gix_date::parse(text, Some(jiff::Zoned::now())).ok().map(|time| time.seconds)
}

#[cfg(test)]
mod tests {
    use super::parse_date;

    #[test]
    fn common_forms_are_understood() {
        assert_eq!(parse_date("1970-01-02T00:00:00Z"), Some(86400));
        assert_eq!(parse_date("Fri, 2 Jan 1970 00:00:00 +0000"), Some(86400));
        assert!(parse_date("2 weeks ago").is_some());
        assert_eq!(parse_date("no date at all"), None);
    }
}
