//! How an agent's key becomes known to the platform, and how a new one replaces it.
//!
//! An announcement is signed by the key it announces, so that nobody announces a key that is not theirs;
//! it counts once the operator has compared and approved the fingerprint. One that replaces an approved
//! key is signed by that key too, and needs no second approval.

use domain::ids::{AgentId, CommunityId};
use p256::ecdsa::signature::{Signer, Verifier};
use p256::ecdsa::{DerSignature, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::keys;

const MAX_MESSAGE_BYTES: usize = 2_048;

/// An announcement whose own signature is good.
#[derive(Debug, Clone)]
pub struct Announcement {
    /// The key: P-256, SEC1 uncompressed.
    pub public_key: Vec<u8>,
    /// The SHA-256 of the key, hexadecimal.
    pub fingerprint: String,
    /// The fingerprint of the key it replaces.
    pub replaces: Option<String>,
    signed: String,
    endorsement: Option<DerSignature>,
}

/// A message is no announcement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an announcement of a key: {0}")]
pub struct InvalidAnnouncement(&'static str);

/// An announcement as it is on the wire; signatures are DER, hexadecimal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    public_key: String,
    replaces: Option<String>,
    proof: String,
    endorsement: Option<String>,
}

/// What the platform says to an announcement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The fingerprint of the key that is known now.
    pub fingerprint: String,
    /// `pending`, `approved` or `revoked`.
    pub status: String,
}

fn text(community: &CommunityId, agent: &AgentId, public_key: &str, replaces: Option<&str>) -> String {
    format!("busbar-enrolment-v1|{community}|{agent}|{public_key}|{}", replaces.unwrap_or_default())
}

/// The message that announces `key`, in place of `old` if that is given.
#[must_use]
pub fn announce(
    community: &CommunityId,
    agent: &AgentId,
    key: &SigningKey,
    old: Option<&SigningKey>,
) -> String {
    let public_key = hex::encode(keys::public_key(key).sec1);
    let replaces = old.map(|old| keys::public_key(old).fingerprint);
    let text = text(community, agent, &public_key, replaces.as_deref());
    let sign = |key: &SigningKey| {
        let signature: DerSignature = key.sign(text.as_bytes());
        hex::encode(signature.as_bytes())
    };
    let wire = Wire { proof: sign(key), endorsement: old.map(sign), public_key, replaces };
    // A structure of plain texts can always be written.
    serde_json::to_string(&wire).unwrap_or_default()
}

impl Announcement {
    /// Reads a message that came from an agent, and checks that it is signed by the key it announces.
    ///
    /// # Errors
    /// [`InvalidAnnouncement`] with what is wrong.
    pub fn check(
        community: &CommunityId,
        agent: &AgentId,
        message: &[u8],
    ) -> Result<Self, InvalidAnnouncement> {
        if message.len() > MAX_MESSAGE_BYTES {
            return Err(InvalidAnnouncement("it is too large"));
        }
        let wire: Wire = serde_json::from_slice(message)
            .map_err(|_| InvalidAnnouncement("it is not the JSON it should be"))?;
        let sec1 =
            hex::decode(&wire.public_key).map_err(|_| InvalidAnnouncement("its key is not hexadecimal"))?;
        let key = VerifyingKey::from_sec1_bytes(&sec1)
            .map_err(|_| InvalidAnnouncement("its key is none of the curve P-256"))?;
        let signed = text(community, agent, &wire.public_key, wire.replaces.as_deref());
        let proof = signature(&wire.proof)?;
        key.verify(signed.as_bytes(), &proof)
            .map_err(|_| InvalidAnnouncement("its signature is not that of the key it announces"))?;
        let public = keys::public_half(&key);
        let endorsement = wire.endorsement.as_deref().map(signature).transpose()?;
        Ok(Self {
            public_key: public.sec1,
            fingerprint: public.fingerprint,
            replaces: wire.replaces,
            signed,
            endorsement,
        })
    }

    /// Whether the key that it replaces has signed it.
    #[must_use]
    pub fn is_endorsed_by(&self, old: &VerifyingKey) -> bool {
        self.replaces.as_deref() == Some(keys::public_half(old).fingerprint.as_str())
            && self.endorsement.as_ref().is_some_and(|sig| old.verify(self.signed.as_bytes(), sig).is_ok())
    }
}

fn signature(text: &str) -> Result<DerSignature, InvalidAnnouncement> {
    let wrong = || InvalidAnnouncement("a signature is not hexadecimal DER");
    DerSignature::from_bytes(&hex::decode(text).map_err(|_| wrong())?).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SigningKey {
        SigningKey::from_slice(&[byte; 32]).unwrap()
    }

    fn ids() -> (CommunityId, AgentId) {
        (CommunityId::new("demo").unwrap(), AgentId::new("agent-1").unwrap())
    }

    #[test]
    fn an_announcement_is_its_keys_own_and_its_agents_alone() {
        let (community, agent) = ids();
        let message = announce(&community, &agent, &key(1), None);
        let announcement = Announcement::check(&community, &agent, message.as_bytes()).unwrap();
        assert_eq!(announcement.fingerprint, keys::public_key(&key(1)).fingerprint);
        assert!(!announcement.is_endorsed_by(key(2).verifying_key()));
        let other = AgentId::new("agent-2").unwrap();
        assert!(Announcement::check(&community, &other, message.as_bytes()).is_err());
        let theirs = hex::encode(keys::public_key(&key(3)).sec1);
        let stolen = message.replace(&hex::encode(keys::public_key(&key(1)).sec1), &theirs);
        assert!(Announcement::check(&community, &agent, stolen.as_bytes()).is_err());
        assert!(Announcement::check(&community, &agent, b"{}").is_err());
    }

    #[test]
    fn a_new_key_is_endorsed_by_the_old_one_and_no_other() {
        let (community, agent) = ids();
        let message = announce(&community, &agent, &key(1), Some(&key(2)));
        let announcement = Announcement::check(&community, &agent, message.as_bytes()).unwrap();
        assert!(announcement.is_endorsed_by(key(2).verifying_key()));
        assert!(!announcement.is_endorsed_by(key(3).verifying_key()));
    }
}
