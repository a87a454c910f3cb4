//! Delivers what the outbox hands out, signed by Standard Webhooks 1.0.0.
//!
//! The outbox decides what is due and remembers what came of it; here is one attempt: sign, send,
//! understand the answer. An error never contains a secret, and a webhook's URL is one.

mod deliver;
mod receiver;
mod retry_after;
mod signature;

pub use crate::config::{PLACEHOLDERS_MAX, TEMPLATE_BYTES_MAX, Template, TemplateError};
pub use deliver::{CONCURRENT_MAX, Deliverer, RESPONSE_BYTES_MAX};
pub use deliver::{DelivererError, Target, TargetTls, run};
pub use receiver::{Received, Receiver};
pub use retry_after::retry_after;
pub use signature::{
    ID_HEADER, SECRETS_MAX, SIGNATURE_HEADER, SecretError, SigningSecret, TIMESTAMP_HEADER,
    VerifyError, sign, verify,
};
