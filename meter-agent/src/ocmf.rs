//! The signed record: one reading in the Open Charge Metering Format.
//!
//! `OCMF|{payload}|{signature}`: the payload is JSON printed from integers, the signature is ECDSA
//! over P-256 and SHA-256 of exactly the bytes between the bars, so that any verifier of that format
//! checks it. What the format has no field for stands in keys that begin with `X`, which it leaves to
//! its users. The signature is evidence of what the agent read; it is not legal metrology.

mod parse;
mod sign;
mod write;

use std::collections::BTreeMap;

use domain::ids::{AgentId, CommunityId};
use domain::reading::Reading;
use serde::{Deserialize, Serialize};

pub use parse::{ParsedRecord, parse};
pub use sign::{sha256, sha256_of, sign, verify};

use crate::source::Device;

/// The most bytes a record may have; ours have about one thousand.
pub const MAX_RECORD_BYTES: usize = 8 * 1024;

/// The SHA-256 of a record's bytes.
pub type RecordHash = [u8; 32];

/// What a record says, before it is printed and signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The community that the meter belongs to.
    pub community_id: CommunityId,
    /// The agent that read it.
    pub agent_id: AgentId,
    /// The reading.
    pub reading: Reading,
    /// The hash of the meter's record before; zeros for its first.
    pub previous: RecordHash,
    /// Changes with every start of the agent.
    pub boot_id: String,
    /// How the agent's clock was kept when it read.
    pub time_status: TimeStatus,
    /// The template that was read with, as `id@version`.
    pub template: String,
    /// The device that answered.
    pub device: Device,
    /// What is to be known about the reading, such as a value that could not be read.
    pub quality: Vec<String>,
    /// The coarsest step of the registers, in mWh, if it is known.
    pub resolution_mwh: Option<i64>,
    /// The raw words of the energy registers, by point.
    pub raw: BTreeMap<&'static str, String>,
}

/// How the agent's clock is kept, as far as it knows; written, never guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeStatus {
    /// Not known.
    #[default]
    Unknown,
    /// The system says that nothing synchronises it.
    Unsynchronised,
    /// Synchronised by a source that is not supervised.
    Informative,
    /// Synchronised, and the agent would know if it were not.
    Synchronised,
}

impl TimeStatus {
    /// `unknown`, `unsynchronised`, `informative` or `synchronised`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Unsynchronised => "unsynchronised",
            Self::Informative => "informative",
            Self::Synchronised => "synchronised",
        }
    }

    /// The letter that the format uses; it has one for both unknown and unsynchronised.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Unknown | Self::Unsynchronised => 'U',
            Self::Informative => 'I',
            Self::Synchronised => 'S',
        }
    }
}

/// A text is not a record that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OcmfError {
    /// It is larger than any record.
    #[error("a record of {bytes} bytes is too large; {MAX_RECORD_BYTES} are allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// It does not have the three parts.
    #[error("not a record: it must read OCMF|payload|signature")]
    Format,
    /// The payload or the signature part is not the JSON it should be.
    #[error("the {part} part is not valid: {reason}")]
    Json {
        /// `payload` or `signature`.
        part: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A field has a value that it cannot have.
    #[error("field {field}: {reason}")]
    Field {
        /// Which field.
        field: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The signature is not one of this key over these bytes.
    #[error("the signature does not fit the record and the agent's key")]
    Signature,
}

/// OBIS codes of the registers. Production is delivery at another measuring point (channel 1).
pub(crate) const OBIS_IMPORT: &str = "01-00:01.08.00*FF";
pub(crate) const OBIS_EXPORT: &str = "01-00:02.08.00*FF";
pub(crate) const OBIS_PRODUCTION: &str = "01-01:02.08.00*FF";
/// One kWh is ten to this power of mWh.
pub(crate) const KWH_PLACES: u32 = 6;

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use domain::ids::MeterId;
    use domain::reading::{Register, Registers};
    use domain::units::Power;
    use p256::ecdsa::SigningKey;
    use proptest::prelude::*;

    pub(crate) fn key() -> SigningKey {
        SigningKey::from_slice(&[7; 32]).unwrap()
    }

    fn record(import_mwh: i64, production_mwh: Option<i64>, power_w: Option<i64>, seq: i64) -> Record {
        let register = |mwh| Register::from_mwh(mwh).unwrap();
        Record {
            community_id: CommunityId::new("demo").unwrap(),
            agent_id: AgentId::new("agent-1").unwrap(),
            reading: Reading {
                meter_id: MeterId::new("meter-7").unwrap(),
                epoch: 3,
                seq,
                slot_end: DateTime::from_timestamp(1_795_000_500, 0).unwrap(),
                read_at: DateTime::from_timestamp_millis(1_795_000_500_123).unwrap(),
                registers: Registers {
                    import: register(import_mwh),
                    export: register(42),
                    production: production_mwh.map(register),
                },
                power: power_w.map(Power::from_w),
            },
            previous: [9; 32],
            boot_id: "b00t".to_owned(),
            time_status: TimeStatus::Synchronised,
            template: "eastron_sdm630@1".to_owned(),
            device: Device {
                vendor: "A \"quoted\" | vendor".to_owned(),
                model: "M".to_owned(),
                serial: Some("S1".to_owned()),
            },
            quality: vec!["voltage_not_available".to_owned()],
            resolution_mwh: Some(1_954),
            raw: BTreeMap::from([("import_energy", "43480000".to_owned())]),
        }
    }

    #[test]
    fn numbers_are_printed_from_integers() {
        let text = sign(&record(1_234_567_890, None, Some(-5), 1), &key());
        assert!(text.contains(r#""RV":1234.567890,"RI":"01-00:01.08.00*FF","RU":"kWh""#), "{text}");
        assert!(text.contains(r#""RV":0.000042,"RI":"01-00:02.08.00*FF""#), "{text}");
        assert!(text.contains(r#""PG":"F1""#) && text.contains(r#""TM":"2026-11-18T"#), "{text}");
        assert!(!text.contains("01-01:02.08.00"), "unknown production is not written: {text}");
        assert_eq!(text.matches('|').count(), 2, "{text}");
    }

    #[test]
    fn f38_how_the_clock_is_kept_is_written_and_never_guessed() {
        assert_eq!(TimeStatus::default(), TimeStatus::Unknown);
        for (status, letter) in [
            (TimeStatus::Unknown, " U\""),
            (TimeStatus::Unsynchronised, " U\""),
            (TimeStatus::Informative, " I\""),
            (TimeStatus::Synchronised, " S\""),
        ] {
            let text = sign(&Record { time_status: status, ..record(1, None, None, 1) }, &key());
            assert_eq!(text.matches(letter).count(), 2, "{text}");
        }
    }

    #[test]
    fn f29_a_record_says_how_fine_its_registers_are_and_what_is_doubtful() {
        let text = sign(&record(1, None, None, 1), &key());
        assert!(text.contains(r#""XZ":1954,"XQ":["voltage_not_available"]"#), "{text}");
    }

    #[test]
    fn one_changed_byte_breaks_the_signature() {
        let text = sign(&record(1_234_567_890, Some(1), None, 1), &key());
        verify(&text, key().verifying_key()).unwrap();
        let changed = text.replace("1234.567890", "1234.567891");
        assert_eq!(verify(&changed, key().verifying_key()), Err(OcmfError::Signature));
        let spaced = text.replace("\"RU\":", "\"RU\": ");
        assert_eq!(verify(&spaced, key().verifying_key()), Err(OcmfError::Signature));
        let other = SigningKey::from_slice(&[8; 32]).unwrap();
        assert_eq!(verify(&text, other.verifying_key()), Err(OcmfError::Signature));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_is_signed_is_what_is_parsed(
            import_mwh in 0_i64..i64::MAX, seq in 1_i64..i64::MAX,
            production_mwh in prop::option::of(0_i64..1 << 50), power_w in prop::option::of(-1_000_000_i64..1_000_000)
        ) {
            let record = record(import_mwh, production_mwh, power_w, seq);
            let parsed = parse(&sign(&record, &key())).unwrap();
            prop_assert_eq!(parsed.reading, record.reading);
            prop_assert_eq!((parsed.community_id, parsed.agent_id), (record.community_id, record.agent_id));
            prop_assert_eq!((parsed.previous, parsed.boot_id), (record.previous, record.boot_id));
            prop_assert_eq!(parsed.quality, record.quality);
        }
    }
}
