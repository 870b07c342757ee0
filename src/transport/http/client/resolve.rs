//! Addresses that the user gives for names: git-config(1), `http.curloptResolve`.

use std::net::{IpAddr, SocketAddr};

/// The addresses of one host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Pinned {
    /// In lower case; `*` is every host.
    host: String,
    port: u16,
    addresses: Vec<IpAddr>,
}

impl Pinned {
    /// Reads `[+]HOST:PORT:ADDRESS[,ADDRESS]` and `-HOST:PORT`, which takes back what was said before; other lines say
    /// nothing.
    pub(in super::super) fn parse_all(lines: &[String]) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for line in lines {
            let (is_removal, rest) = match line.strip_prefix('-') {
                Some(rest) => (true, rest),
                None => (false, line.strip_prefix('+').unwrap_or(line)),
            };
            let mut parts = rest.splitn(3, ':');
            let (Some(host), Some(port)) = (parts.next(), parts.next()) else { continue };
            let Ok(port) = port.parse() else { continue };
            let host = host.to_ascii_lowercase();
            all.retain(|known| (&known.host, known.port) != (&host, port));
            let addresses = parts.next().unwrap_or_default().split(',');
            let addresses: Vec<IpAddr> =
                addresses.filter_map(|text| text.trim_matches(['[', ']']).parse().ok()).collect();
            if !is_removal && !addresses.is_empty() {
                all.push(Self { host, port, addresses });
            }
        }
        all
    }

    /// What is given for `host` and `port`, if anything.
    pub(super) fn find(all: &[Self], host: &str, port: u16) -> Option<Vec<SocketAddr>> {
        let fits =
            |name: &str| all.iter().find(|one| one.port == port && one.host.eq_ignore_ascii_case(name));
        let found = fits(host).or_else(|| fits("*"))?;
        Some(found.addresses.iter().map(|&address| SocketAddr::new(address, port)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(lines: &[&str], host: &str) -> Option<Vec<String>> {
        let lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
        let addresses = Pinned::find(&Pinned::parse_all(&lines), host, 443)?;
        Some(addresses.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_last_word_on_a_host_holds() {
        let lines = ["git.test:443:10.0.0.1", "+GIT.test:443:10.0.0.2,[::1]", "*:443:10.0.0.9"];
        assert_eq!(found(&lines, "git.test").unwrap(), ["10.0.0.2:443", "[::1]:443"]);
        assert_eq!(found(&lines, "other.test").unwrap(), ["10.0.0.9:443"]);
        assert_eq!(found(&["git.test:443:10.0.0.1", "-git.test:443"], "git.test"), None);
        assert_eq!(found(&["git.test:80:10.0.0.1", "nonsense", "git.test:443:"], "git.test"), None);
    }
}
