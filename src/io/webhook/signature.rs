//! Signatures of Standard Webhooks 1.0.0, symmetric (`v1`): HMAC-SHA256 over
//! `id.timestamp.body`, in base64; several, separated by spaces, while a secret is being replaced.

use crate::engine::time::{Span, Timestamp};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use thiserror::Error;

pub const ID_HEADER: &str = "webhook-id";
/// Unix seconds of the attempt.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
pub const SIGNATURE_HEADER: &str = "webhook-signature";

/// Secrets of one endpoint at a time, the newest first; more are refused.
pub const SECRETS_MAX: usize = 4;
const PREFIX: &str = "whsec_";
/// Source: the specification's section "Signature scheme": 24 to 64 bytes.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// How far a signed time may lie from the receiver's clock; the reference libraries' tolerance.
const TOLERANCE: Span = Span::from_mins(5);

/// Why a text is no signing secret. Never contains the text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SecretError {
    #[error("the secret is empty; make one: echo whsec_$(openssl rand -base64 32)")]
    Empty,
    #[error("the secret must start with `whsec_`; make one: echo whsec_$(openssl rand -base64 32)")]
    Prefix,
    #[error("what follows `whsec_` in the secret must be base64 (with its padding)")]
    Base64,
    #[error("the secret must hold 24 to 64 bytes before base64, it holds {0}")]
    Length(usize),
    #[error("at most {SECRETS_MAX} secrets can be used at a time, not {0}")]
    TooMany(usize),
}

/// A key that signs. Prints as `<secret>`.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret {
    key: Vec<u8>,
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl SigningSecret {
    /// Reads `whsec_` and base64.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(SecretError::Empty);
        }
        let encoded = text.strip_prefix(PREFIX).ok_or(SecretError::Prefix)?;
        let key = STANDARD.decode(encoded).map_err(|_| SecretError::Base64)?;
        if !KEY_BYTES.contains(&key.len()) {
            return Err(SecretError::Length(key.len()));
        }
        Ok(Self { key })
    }

    /// Reads one secret or several, separated by white space: while a receiver changes from an old
    /// secret to a new one, requests carry a signature by each.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, SecretError> {
        let secrets = text.split_whitespace().map(Self::parse).collect::<Result<Vec<_>, _>>()?;
        match secrets.len() {
            0 => Err(SecretError::Empty),
            1..=SECRETS_MAX => Ok(secrets),
            count => Err(SecretError::TooMany(count)),
        }
    }

    fn mac(&self, id: &str, timestamp_secs: i64, body: &[u8]) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        mac.update(format!("{id}.{timestamp_secs}.").as_bytes());
        mac.update(body);
        mac
    }
}

/// The value of the signature header: one `v1,...` for each secret.
pub fn sign(secrets: &[SigningSecret], id: &str, timestamp_secs: i64, body: &[u8]) -> String {
    let one = |secret: &SigningSecret| {
        let code = secret.mac(id, timestamp_secs, body).finalize().into_bytes();
        format!("v1,{}", STANDARD.encode(code))
    };
    secrets.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// Why a request must not be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum VerifyError {
    #[error("a header of the signature is missing or malformed")]
    Malformed,
    #[error("the signed time is more than five minutes from now")]
    Time,
    #[error("no signature fits")]
    Signature,
}

/// Checks a received request, in constant time as far as the secret is concerned.
pub fn verify(
    secret: &SigningSecret,
    id: &str,
    timestamp: &str,
    signatures: &str,
    body: &[u8],
    now: Timestamp,
) -> Result<(), VerifyError> {
    let signed_at: i64 = timestamp.parse().map_err(|_| VerifyError::Malformed)?;
    let distance = now - Timestamp::from_secs(signed_at);
    if distance > TOLERANCE || distance < -TOLERANCE {
        return Err(VerifyError::Time);
    }
    let fits = |signature: &str| {
        let Some(encoded) = signature.strip_prefix("v1,") else { return false };
        let Ok(code) = STANDARD.decode(encoded) else { return false };
        secret.mac(id, signed_at, body).verify_slice(&code).is_ok()
    };
    if signatures.split(' ').take(16).any(fits) { Ok(()) } else { Err(VerifyError::Signature) }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The example of the reference libraries' tests ("sign function works", for instance
    // libraries/javascript/src/webhook.test.ts of standard-webhooks/standard-webhooks).
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = b"{\"test\": 2432232314}";
    const SIGNED: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    #[test]
    fn the_published_example_has_the_published_signature() {
        let secret = SigningSecret::parse(SECRET).unwrap();
        assert_eq!(sign(std::slice::from_ref(&secret), ID, 1_614_265_330, BODY), SIGNED);
        let now = Timestamp::from_secs(1_614_265_330);
        assert_eq!(verify(&secret, ID, "1614265330", SIGNED, BODY, now), Ok(()));
    }

    #[test]
    fn each_secret_adds_a_signature_and_either_receiver_is_content() {
        let old = SigningSecret::parse(SECRET).unwrap();
        let new = SigningSecret { key: vec![7; 32] };
        let both = sign(&[new.clone(), old.clone()], ID, 1_614_265_330, BODY);
        assert_eq!(both.split(' ').count(), 2);
        assert!(both.ends_with(SIGNED));
        let now = Timestamp::from_secs(1_614_265_330);
        for secret in [old, new] {
            assert_eq!(verify(&secret, ID, "1614265330", &both, BODY, now), Ok(()));
        }
    }

    #[test]
    fn what_was_changed_on_the_way_is_refused() {
        let secret = SigningSecret::parse(SECRET).unwrap();
        let now = Timestamp::from_secs(1_614_265_330);
        let check = |id: &str, time: &str, signed: &str, body: &[u8], now| {
            verify(&secret, id, time, signed, body, now)
        };
        let wrong = Err(VerifyError::Signature);
        assert_eq!(check("msg_other", "1614265330", SIGNED, BODY, now), wrong);
        assert_eq!(check(ID, "1614265331", SIGNED, BODY, now), wrong);
        assert_eq!(check(ID, "1614265330", SIGNED, b"{}", now), wrong);
        assert_eq!(check(ID, "1614265330", &SIGNED.replace("v1,", "v2,"), BODY, now), wrong);
        assert_eq!(check(ID, "1614265330", "v1,", BODY, now), wrong);
        assert_eq!(check(ID, "1614265330", &SIGNED[..12], BODY, now), wrong);
        assert_eq!(check(ID, "today", SIGNED, BODY, now), Err(VerifyError::Malformed));
        let late = now + Span::from_secs(301);
        assert_eq!(check(ID, "1614265330", SIGNED, BODY, late), Err(VerifyError::Time));
    }

    #[test]
    fn a_bad_secret_is_refused_without_being_shown() {
        let error = |text: &str| SigningSecret::parse_all(text).unwrap_err();
        assert_eq!(error(""), SecretError::Empty);
        assert_eq!(error(" \n"), SecretError::Empty);
        assert_eq!(error("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), SecretError::Prefix);
        assert_eq!(error("whsec_not base64"), SecretError::Base64);
        assert_eq!(error("whsec_c2hvcnQ="), SecretError::Length(5));
        let long = format!("whsec_{}", STANDARD.encode([1; 65]));
        assert_eq!(error(&long), SecretError::Length(65));
        assert_eq!(error(&[SECRET; 5].join("\n")), SecretError::TooMany(5));
        assert_eq!(SigningSecret::parse_all(&[SECRET; 2].join("\n")).unwrap().len(), 2);
        for text in ["whsec_hunter2hunter2", "hunter2hunter2"] {
            assert!(!error(text).to_string().contains("hunter2"));
        }
        assert_eq!(format!("{:?}", SigningSecret::parse(SECRET).unwrap()), "<secret>");
    }
}
