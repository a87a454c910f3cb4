//! Environment variables in a configuration: `${NAME}` and `${NAME:-default}` in any scalar, `$$`
//! for a dollar sign.
//!
//! The values go into scalars that are parsed already, so that none of them can add a key, a list
//! or a line. An empty value stays an empty text and does not turn into "nothing".

use super::Environment;
use super::fault::{Fault, quoted};
use super::tree::{Kind, Node};

/// A longer value of a scalar is refused.
const VALUE_BYTES_MAX: usize = 64 << 10;

/// Puts variables into every scalar; what is wrong is added to `faults`.
pub fn substitute(root: &mut Node, env: Environment<'_>, faults: &mut Vec<Fault>) {
    root.visit_mut("", &mut |node, path| {
        let Kind::Scalar(scalar) = &mut node.kind else { return };
        if !scalar.text.contains('$') {
            return;
        }
        match expand(&scalar.text, env) {
            Ok((text, substituted)) => {
                let written = std::mem::replace(&mut scalar.text, text);
                scalar.written = substituted.then_some(written);
            }
            Err(message) => {
                faults.push(Fault { mark: Some(node.mark), path: path.to_owned(), message });
            }
        }
    });
}

/// The text with its variables, and whether there was one.
fn expand(text: &str, env: Environment<'_>) -> Result<(String, bool), String> {
    let mut out = String::with_capacity(text.len());
    let mut substituted = false;
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let end = after.find('}').ok_or("`${` without `}`; write `$$` for a dollar sign")?;
            out.push_str(&variable(&after[..end], env)?);
            substituted = true;
            rest = &after[end + 1..];
        } else {
            // A dollar sign alone is one: passwords and patterns have them.
            out.push('$');
        }
    }
    out.push_str(rest);
    if out.len() > VALUE_BYTES_MAX {
        return Err(format!("longer than {VALUE_BYTES_MAX} bytes with its variables"));
    }
    Ok((out, substituted))
}

fn variable(inside: &str, env: Environment<'_>) -> Result<String, String> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let valid = !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !name.as_bytes()[0].is_ascii_digit();
    if !valid {
        let shown = quoted(name);
        return Err(format!("{shown} is not the name of an environment variable"));
    }
    // As in a shell, `:-` also takes the place of an empty value.
    match (env(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(format!(
            "the environment variable `{name}` is not set; set it or write `${{{name}:-default}}`"
        )),
    }
}
