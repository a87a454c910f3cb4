//! The profile as a file: pretty JSON that carries the hash of its own content.

use super::ProfileError;
use super::cell::printable;
use crate::engine::reference::{PROFILE_VERSION, Profile};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

/// What the file's `format` field says.
pub(super) const FORMAT: &str = "tidemark/profile";
/// A larger file is refused.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// Reads a profile and checks its format, version, hash and consistency.
pub fn read(path: &Path) -> Result<Profile, ProfileError> {
    let io = |error| ProfileError::Io { file: path.into(), error };
    let not = |what: String| ProfileError::NotAProfile { file: path.into(), what };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(io)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(not(format!("larger than {FILE_BYTES_MAX} bytes")));
    }
    let content: Value = serde_json::from_slice(&bytes).map_err(|error| {
        not(format!("{error}; the file is cut off, or was not written by `tidemark profile`"))
    })?;
    if content.get("format").and_then(Value::as_str) != Some(FORMAT) {
        return Err(not(format!("format: expected `{FORMAT}`")));
    }
    match content.get("version").and_then(Value::as_u64) {
        Some(version) if version > PROFILE_VERSION.into() => {
            return Err(ProfileError::Newer { file: path.into(), version });
        }
        Some(version) if version > 0 => {}
        _ => return Err(not("version: expected a positive number".into())),
    }
    let expected = content_hash(&content);
    let found = content.get("content_hash").and_then(Value::as_str).unwrap_or("missing");
    if found != expected {
        let found = printable(found, 80);
        return Err(ProfileError::Hash { file: path.into(), expected, found });
    }
    let inconsistent = |what: String| ProfileError::Inconsistent {
        file: path.into(),
        what: printable(&what, 300),
    };
    let profile: Profile =
        serde_json::from_value(content).map_err(|error| inconsistent(error.to_string()))?;
    profile.validate().map_err(inconsistent)?;
    Ok(profile)
}

/// Writes the profile with its hash, at once: a reader sees the old file or the new one. Returns it
/// as written.
pub fn write(path: &Path, profile: &Profile) -> Result<Profile, ProfileError> {
    let io = |error| ProfileError::Io { file: path.into(), error };
    let hashed = |profile: &Profile| {
        let text = serde_json::to_string(profile).expect("a profile has only JSON's types");
        let value: Value = serde_json::from_str(&text).expect("what was just written is JSON");
        content_hash(&value)
    };
    let profile = Profile { content_hash: hashed(profile), ..profile.clone() };
    let mut text = serde_json::to_string_pretty(&profile).expect("a profile has only JSON's types");
    text.push('\n');
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let mut file = File::create(&partial).map_err(io)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
    fs::rename(&partial, path).map_err(io)?;
    Ok(profile)
}

/// Refuses a profile that was made for another model; one made for none fits all.
pub fn check_model(profile: &Profile, model: &str) -> Result<(), ProfileError> {
    match &profile.model {
        Some(made_for) if made_for != model => Err(ProfileError::OtherModel {
            made_for: printable(made_for, 80),
            model: printable(model, 80),
        }),
        _ => Ok(()),
    }
}

/// `sha256:` and the hash of the content as compact JSON with sorted members, without
/// `content_hash`. So a file may be laid out anew, but not changed.
fn content_hash(content: &Value) -> String {
    let mut content = content.clone();
    if let Value::Object(members) = &mut content {
        members.shift_remove("content_hash");
    }
    content.sort_all_objects();
    let mut text = String::from("sha256:");
    for byte in Sha256::digest(content.to_string().as_bytes()) {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
    }
    text
}
