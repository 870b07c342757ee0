//! Dates as people write them and as they are shown.

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

/// A date of a commit or tag, with its zone.
#[derive(Debug, Clone, Copy)]
pub struct Date(gix_date::Time);

/// How a date is written: git-log(1), `--date`.
#[derive(Debug, Clone, Copy)]
pub struct DateFormat {
    layout: gix_date::time::Format,
    /// In the zone of this machine.
    is_local: bool,
}

impl Date {
    /// Reads what stands behind the name in the head of an object: seconds and zone.
    pub fn of_header(text: &str) -> Option<Self> {
        gix_date::parse_header(text).map(Self)
    }

    /// Seconds since 1970.
    pub fn seconds(self) -> i64 {
        self.0.seconds
    }

    /// The date as text.
    pub fn written(mut self, format: DateFormat) -> String {
        if format.is_local {
            let here = jiff::Timestamp::from_second(self.0.seconds)
                .map(|moment| moment.to_zoned(jiff::tz::TimeZone::system()).offset().seconds());
            self.0.offset = here.unwrap_or(self.0.offset);
        }
        self.0.format(format.layout).unwrap_or_default()
    }
}

impl DateFormat {
    /// What `name` means; `None` for ways to write that change with time or are made of parts, which are not known here.
    ///
    /// # Errors
    ///
    /// In git's words for a name that is none.
    pub fn parse(name: &str) -> Result<Option<Self>, String> {
        use gix_date::time::format;
        let (plain, is_local) = match name.strip_suffix("-local") {
            Some(plain) => (plain, true),
            None => (name, false),
        };
        let layout = match plain {
            "iso" | "iso8601" => format::ISO8601.into(),
            "iso-strict" | "iso8601-strict" => format::ISO8601_STRICT.into(),
            "short" => format::SHORT.into(),
            "rfc" | "rfc2822" => format::GIT_RFC2822.into(),
            "default" | "local" => format::DEFAULT.into(),
            "raw" => format::RAW,
            "unix" => format::UNIX,
            "relative" | "human" => return Ok(None),
            other if other.starts_with("format:") || other.starts_with("format-local:") => return Ok(None),
            "format" => return Err(format!("date format missing colon separator: {name}")),
            _ => return Err(format!("unknown date format {name}")),
        };
        Ok(Some(Self { layout, is_local: is_local || plain == "local" }))
    }
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
