//! The message that a member signs to link an address: EIP-4361 ("sign in with Ethereum"), read and
//! written strictly. What is read must be what would be written, byte for byte.

use std::fmt;

use chrono::{DateTime, Utc};
use receipt::Address;
use receipt::merkle::keccak256;

/// A message is far shorter; more is not looked at.
pub(crate) const MAX_MESSAGE_BYTES: usize = 4_096;
const PREAMBLE: &str = " wants you to sign in with your Ethereum account:";
const MIN_NONCE_CHARS: usize = 8;

/// A message of EIP-4361, version 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// Who asks: the host (and port) that the page came from.
    pub(crate) domain: String,
    /// Who is asked.
    pub(crate) address: Address,
    /// What the signature is for, in words; one line.
    pub(crate) statement: Option<String>,
    /// What it is for, as an address on the web.
    pub(crate) uri: String,
    /// The EIP-155 chain id.
    pub(crate) chain_id: u64,
    /// Random, at least 8 letters and digits.
    pub(crate) nonce: String,
    /// When it was made.
    pub(crate) issued_at: Time,
    /// From then on it is not valid.
    pub(crate) expires_at: Option<Time>,
    /// Until then it is not valid.
    pub(crate) not_before: Option<Time>,
    /// Whatever the asker wants to find again.
    pub(crate) request_id: Option<String>,
    /// What the signature refers to.
    pub(crate) resources: Vec<String>,
}

/// A time as it was written (RFC 3339), and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Time {
    text: String,
    /// What it means.
    pub(crate) at: DateTime<Utc>,
}

impl From<DateTime<Utc>> for Time {
    fn from(at: DateTime<Utc>) -> Self {
        Self { text: at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true), at }
    }
}

/// A text is not a message of EIP-4361.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidMessage {
    /// A line that must be there is not, or is not where it must be.
    #[error("the message is not of the form of EIP-4361: its {0} is missing or not in its place")]
    Missing(&'static str),
    /// A field has a value that it cannot have.
    #[error("the message's {0} is not valid")]
    Field(&'static str),
    /// It has more than it may have.
    #[error("the message has lines that EIP-4361 does not know")]
    Trailing,
    /// It is longer than any message.
    #[error("the message is longer than {MAX_MESSAGE_BYTES} bytes")]
    TooLong,
}

impl Message {
    /// Reads a message.
    ///
    /// # Errors
    /// [`InvalidMessage`] with what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidMessage> {
        if text.len() > MAX_MESSAGE_BYTES {
            return Err(InvalidMessage::TooLong);
        }
        let mut lines = Lines(text.split('\n').collect());
        let domain = lines.next().strip_suffix(PREAMBLE).ok_or(InvalidMessage::Missing("first line"))?;
        let address = parse_address(lines.next()).ok_or(InvalidMessage::Field("address"))?;
        lines.blank("empty line after the address")?;
        let statement = match lines.next() {
            "" => None,
            line => {
                lines.blank("empty line after the statement")?;
                Some(line.to_owned())
            }
        };
        let uri = lines.field("URI").ok_or(InvalidMessage::Missing("URI"))?;
        if lines.field("Version") != Some("1") {
            return Err(InvalidMessage::Field("version"));
        }
        let chain_id = lines.field("Chain ID").ok_or(InvalidMessage::Missing("chain id"))?;
        let nonce = lines.field("Nonce").ok_or(InvalidMessage::Missing("nonce"))?;
        let issued_at = lines.field("Issued At").ok_or(InvalidMessage::Missing("time of issue"))?;
        let message = Self {
            domain: domain.to_owned(),
            address,
            statement,
            uri: uri.to_owned(),
            chain_id: chain_id.parse().map_err(|_| InvalidMessage::Field("chain id"))?,
            nonce: nonce.to_owned(),
            issued_at: time(issued_at, "time of issue")?,
            expires_at: lines.field("Expiration Time").map(|t| time(t, "expiration time")).transpose()?,
            not_before: lines.field("Not Before").map(|t| time(t, "first time of validity")).transpose()?,
            request_id: lines.field("Request ID").map(str::to_owned),
            resources: lines.resources(),
        };
        message.check(&lines)?;
        if message.to_string() == text { Ok(message) } else { Err(InvalidMessage::Trailing) }
    }

    fn check(&self, left: &Lines<'_>) -> Result<(), InvalidMessage> {
        if !left.0.is_empty() {
            return Err(InvalidMessage::Trailing);
        }
        let is_nonce =
            self.nonce.len() >= MIN_NONCE_CHARS && self.nonce.bytes().all(|b| b.is_ascii_alphanumeric());
        let is_plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        let is_statement = |text: &str| text.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
        for (field, holds) in [
            ("domain", is_plain(&self.domain)),
            ("statement", self.statement.as_deref().is_none_or(is_statement)),
            ("URI", is_plain(&self.uri) && self.uri.contains(':')),
            ("nonce", is_nonce),
            ("request id", self.request_id.as_deref().is_none_or(is_plain)),
            ("resources", self.resources.iter().all(|uri| is_plain(uri) && uri.contains(':'))),
        ] {
            if !holds {
                return Err(InvalidMessage::Field(field));
            }
        }
        Ok(())
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{PREAMBLE}\n{}\n\n", self.domain, checksummed(&self.address))?;
        if let Some(statement) = &self.statement {
            writeln!(f, "{statement}")?;
        }
        write!(f, "\nURI: {}\nVersion: 1\nChain ID: {}\nNonce: {}", self.uri, self.chain_id, self.nonce)?;
        write!(f, "\nIssued At: {}", self.issued_at.text)?;
        for (name, time) in [("Expiration Time", &self.expires_at), ("Not Before", &self.not_before)] {
            if let Some(time) = time {
                write!(f, "\n{name}: {}", time.text)?;
            }
        }
        if let Some(id) = &self.request_id {
            write!(f, "\nRequest ID: {id}")?;
        }
        if !self.resources.is_empty() {
            write!(f, "\nResources:")?;
        }
        self.resources.iter().try_for_each(|uri| write!(f, "\n- {uri}"))
    }
}

/// What is left of the lines.
struct Lines<'a>(std::collections::VecDeque<&'a str>);

impl<'a> Lines<'a> {
    /// The next line; empty at the end.
    fn next(&mut self) -> &'a str {
        self.0.pop_front().unwrap_or_default()
    }

    fn blank(&mut self, what: &'static str) -> Result<(), InvalidMessage> {
        if self.0.pop_front() == Some("") { Ok(()) } else { Err(InvalidMessage::Missing(what)) }
    }

    /// The value of the next line, if it is the field of that name.
    fn field(&mut self, name: &str) -> Option<&'a str> {
        let value = self.0.front()?.strip_prefix(name)?.strip_prefix(": ")?;
        self.0.pop_front();
        Some(value)
    }

    fn resources(&mut self) -> Vec<String> {
        if self.0.front() != Some(&"Resources:") {
            return Vec::new();
        }
        self.0.pop_front();
        self.0.drain(..).map(|line| line.strip_prefix("- ").unwrap_or_default().to_owned()).collect()
    }
}

fn time(text: &str, field: &'static str) -> Result<Time, InvalidMessage> {
    let at = DateTime::parse_from_rfc3339(text).map_err(|_| InvalidMessage::Field(field))?;
    Ok(Time { text: text.to_owned(), at: at.with_timezone(&Utc) })
}

/// Reads an address: in one case throughout, or with the checksum of EIP-55.
pub(crate) fn parse_address(text: &str) -> Option<Address> {
    let address: Address = text.parse().ok()?;
    let digits = text.get(2..)?;
    let is_one_case = |other: fn(&u8) -> bool| !digits.as_bytes().iter().any(other);
    let is_plain = is_one_case(u8::is_ascii_uppercase) || is_one_case(u8::is_ascii_lowercase);
    (is_plain || checksummed(&address) == text).then_some(address)
}

/// Writes an address with the checksum of EIP-55: a letter is a capital where the hash of the digits
/// has a high half-byte.
pub(crate) fn checksummed(address: &Address) -> String {
    let plain = address.to_string();
    let digits = plain.trim_start_matches("0x");
    let hash = keccak256(&[digits.as_bytes()]);
    let half_byte = |i: usize| if i.is_multiple_of(2) { hash[i / 2] >> 4 } else { hash[i / 2] & 0x0f };
    let letter = |(i, c): (usize, char)| if half_byte(i) >= 8 { c.to_ascii_uppercase() } else { c };
    format!("0x{}", digits.chars().enumerate().map(letter).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the standard.
    const EXAMPLE: &str = "service.invalid wants you to sign in with your Ethereum account:\n\
        0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2\n\n\
        I accept the ServiceOrg Terms of Service: https://service.invalid/tos\n\n\
        URI: https://service.invalid/login\nVersion: 1\nChain ID: 1\nNonce: 32891756\n\
        Issued At: 2021-09-30T16:25:24Z\nResources:\n\
        - ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq/\n\
        - https://example.com/my-web2-claim.json";

    #[test]
    fn the_standards_example_is_read_whole() {
        let message = Message::parse(EXAMPLE).unwrap();
        assert_eq!(message.domain, "service.invalid");
        assert_eq!(message.address.to_string(), "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2");
        assert_eq!((message.chain_id, message.nonce.as_str()), (1, "32891756"));
        assert_eq!(message.issued_at.at.timestamp(), 1_633_019_124);
        assert_eq!(message.resources.len(), 2);
        assert_eq!(message.to_string(), EXAMPLE);
    }

    #[test]
    fn each_optional_part_may_be_there_or_not() {
        let short = "a.example:8080 wants you to sign in with your Ethereum account:\n\
            0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed\n\n\nURI: https://a.example:8080\nVersion: 1\nChain ID: 31337\n\
            Nonce: abcdEFGH12\nIssued At: 2026-01-01T00:00:00.000Z";
        let message = Message::parse(short).unwrap();
        assert_eq!((message.statement, message.expires_at), (None, None));
        let long = format!(
            "{short}\nExpiration Time: 2026-01-01T00:10:00Z\nNot Before: 2026-01-01T00:00:00Z\nRequest ID: r-1"
        );
        let message = Message::parse(&long).unwrap();
        assert_eq!(
            message.expires_at.unwrap().at - message.not_before.unwrap().at,
            chrono::TimeDelta::minutes(10)
        );
        assert_eq!(message.request_id.as_deref(), Some("r-1"));
    }

    #[test]
    fn what_is_not_written_so_is_refused() {
        for (from, to, named) in [
            (" wants you to sign in", " asks you to sign in", "first line"),
            ("service.invalid wants", "service invalid wants", "domain"),
            ("service.invalid wants", " wants", "domain"),
            ("0xC02aaA", "0xc02aaA", "address"),
            ("0xC02aaA39", "C02aaA39", "address"),
            ("6Cc2\n\n", "6Cc2\n", "empty line after the address"),
            ("tos\n\n", "tos\n", "empty line after the statement"),
            ("I accept", "I\u{e9} accept", "statement"),
            ("URI: ", "Uri: ", "URI"),
            ("URI: https://service.invalid/login", "URI: login", "URI"),
            ("Version: 1", "Version: 2", "version"),
            ("Chain ID: 1", "Chain ID: 0x1", "chain id"),
            ("Chain ID: 1", "Chain ID: 01", "does not know"),
            ("Nonce: 32891756", "Nonce: 3289175", "nonce"),
            ("Nonce: 32891756", "Nonce: 3289-756", "nonce"),
            ("2021-09-30T16:25:24Z", "2021-09-31T16:25:24Z", "time of issue"),
            (
                "Issued At: 2021-09-30T16:25:24Z",
                "Issued At: 2021-09-30T16:25:24Z\nExpiration Time: soon",
                "expiration",
            ),
            ("Resources:", "Resource:", "does not know"),
            ("- https://example.com/my-web2-claim.json", "https://example.com", "resources"),
            ("claim.json", "claim.json\n", "resources"),
            ("\n", "\r\n", "first line"),
        ] {
            let changed = EXAMPLE.replacen(from, to, 1);
            assert_ne!(changed, EXAMPLE, "{from}");
            let error = Message::parse(&changed).unwrap_err().to_string();
            assert!(error.contains(named), "{from:?} -> {to:?}: {error}");
        }
        assert_eq!(Message::parse(&"x".repeat(5_000)), Err(InvalidMessage::TooLong));
        assert!(Message::parse("").is_err());
    }

    #[test]
    fn checksums_are_those_of_eip_55() {
        for text in [
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
            "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
            "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
        ] {
            let address = parse_address(text).unwrap();
            assert_eq!(checksummed(&address), text);
            assert_eq!(parse_address(&text.to_lowercase()), Some(address));
            let wrong = text.replacen('E', "e", 1);
            assert_eq!(parse_address(&wrong), None, "{wrong}");
        }
    }
}
