//! Checks of webhooks.

use super::super::bounds::{WEBHOOK_HEADERS_MAX, WEBHOOK_SECRETS_MAX, WEBHOOKS_MAX};
use super::super::defaults::defaults;
use super::super::fault::quoted;
use super::super::plan::{WebhookPlan, WebhookTls};
use super::super::secret::{Secret, SecretUrl};
use super::super::template::Template;
use super::super::tree::{item_path, key_path};
use super::super::value::Text;
use super::super::written::{Config, WebhookConfig, WebhookTlsConfig};
use super::Check;
use super::daemon::{one_of, secret_file};
use base64::Engine as _;
use std::collections::BTreeMap;

/// One a written webhook; `None` where it has faults.
pub fn webhooks(check: &mut Check<'_>, config: &Config) -> Vec<Option<WebhookPlan>> {
    let Some(list) = &config.webhooks else { return Vec::new() };
    check.at_most("webhooks", list.len(), WEBHOOKS_MAX, "webhooks");
    let mut names = Vec::new();
    let mut plans = Vec::new();
    for (index, section) in list.iter().take(WEBHOOKS_MAX) {
        let path = item_path("webhooks", index);
        let name = check.name(&path, section.name.as_ref());
        let plan = webhook(check, &path, section);
        plans.push(name.clone().map(|name| WebhookPlan { name, ..plan }));
        names.push((path, name));
    }
    check.unique(names.iter().map(|(path, name)| (path.clone(), name.as_ref())), "webhook");
    plans
}

/// The webhook without its name. What has faults is replaced by something harmless: a policy can
/// still refer to it.
fn webhook(check: &mut Check<'_>, path: &str, section: &WebhookConfig) -> WebhookPlan {
    let defaults = defaults().config.webhooks.as_ref().and_then(|list| list.get(0));
    let default = defaults.expect("the default file has a webhook");
    let url = one_of(check, path, "url", section.url.as_ref(), section.url_file.as_ref());
    if url.is_none() && !check.is_faulty(&key_path(path, "url")) && section.url_file.is_none() {
        check.fault(path, "`url` is missing; add it, or `url_file`");
    }
    let url = url.unwrap_or_else(|| Secret::new("http://127.0.0.1/"));
    let parsed = url.expose().parse::<SecretUrl>();
    let url = parsed.unwrap_or_else(|message| {
        check.fault(key_path(path, "url"), message);
        "http://127.0.0.1/".parse().expect("a constant URL")
    });
    let secret =
        one_of(check, path, "secret", section.secret.as_ref(), section.secret_file.as_ref());
    let mut success_statuses = Vec::new();
    for (index, &status) in section.success_statuses.iter().flat_map(|list| list.iter()) {
        if !(300..600).contains(&status) {
            let path = item_path(&key_path(path, "success_statuses"), index);
            check.fault(path, "must be an HTTP status from 300 to 599 (2xx always is success)");
        }
        success_statuses.push(status);
    }
    WebhookPlan {
        name: "".into(),
        url,
        secrets: signing_secrets(check, path, secret),
        headers: headers(check, path, section),
        timeout: check.bounded(path, "timeout", section.timeout, default.timeout),
        give_up_after: check.bounded(
            path,
            "give_up_after",
            section.give_up_after,
            default.give_up_after,
        ),
        success_statuses,
        template: template(check, path, section.template.as_ref()),
        proxy: proxy(check, path, section.proxy.as_ref()),
        tls: section.tls.as_ref().map(|tls| self::tls(check, path, tls)).unwrap_or_default(),
    }
}

fn template(check: &mut Check<'_>, path: &str, file: Option<&Text>) -> Option<Template> {
    let Text(file) = file?;
    let path = key_path(path, "template");
    let text = secret_file(check, &path, file)?;
    let parsed = Template::parse(text.expose());
    parsed.map_err(|error| check.fault(path, format!("{}: {error}", quoted(file)))).ok()
}

fn proxy(check: &mut Check<'_>, path: &str, written: Option<&Text>) -> Option<SecretUrl> {
    let Text(url) = written?;
    let parsed = url.parse::<SecretUrl>();
    parsed.map_err(|message| check.fault(key_path(path, "proxy"), message)).ok()
}

fn tls(check: &mut Check<'_>, path: &str, section: &WebhookTlsConfig) -> WebhookTls {
    let path = key_path(path, "tls");
    let mut read = |name: &str, file: Option<&Text>| {
        let Text(file) = file?;
        secret_file(check, &key_path(&path, name), file)
    };
    let ca = read("ca_file", section.ca_file.as_ref());
    let cert = read("cert_file", section.cert_file.as_ref());
    let key = read("key_file", section.key_file.as_ref());
    let ca = ca.map(|ca| ca.expose().to_owned());
    if let Some(pem) = &ca
        && reqwest::Certificate::from_pem_bundle(pem.as_bytes()).is_ok_and(|all| all.is_empty())
    {
        check.fault(key_path(&path, "ca_file"), "has no certificate in PEM form");
    }
    if section.cert_file.is_some() != section.key_file.is_some() {
        check.fault(path.clone(), "`cert_file` and `key_file` need each other; add the other one");
    }
    let identity = cert.zip(key).map(|(cert, key)| {
        // Certificates and key in one text is what the client takes.
        Secret::new(format!("{}\n{}\n", cert.expose(), key.expose()))
    });
    if let Some(identity) = &identity
        && reqwest::Identity::from_pem(identity.expose().as_bytes()).is_err()
    {
        check.fault(path, "`cert_file` and `key_file` are not a certificate and a key in PEM form");
    }
    WebhookTls { ca, identity }
}

/// One key or several, separated by white space.
fn signing_secrets(check: &mut Check<'_>, path: &str, written: Option<Secret>) -> Vec<Secret> {
    let Some(written) = written else { return Vec::new() };
    let secrets: Vec<Secret> = written.expose().split_whitespace().map(Secret::new).collect();
    let path = key_path(path, "secret");
    check.at_most(&path, secrets.len(), WEBHOOK_SECRETS_MAX, "secrets");
    for (index, secret) in secrets.iter().enumerate() {
        let key = secret.expose().strip_prefix("whsec_");
        let bytes = key.and_then(|key| base64::engine::general_purpose::STANDARD.decode(key).ok());
        if !bytes.is_some_and(|bytes| (24..=64).contains(&bytes.len())) {
            let message = format!(
                "key {} is not a Standard Webhooks secret: `whsec_` and 24 to 64 bytes in base64",
                index + 1
            );
            check.fault(path.clone(), message);
        }
    }
    secrets
}

fn headers(check: &mut Check<'_>, path: &str, section: &WebhookConfig) -> BTreeMap<String, Secret> {
    let mut headers: BTreeMap<String, Secret> = BTreeMap::new();
    let parent = key_path(path, "headers");
    let count = section.headers.as_ref().map_or(0, BTreeMap::len);
    check.at_most(&parent, count, WEBHOOK_HEADERS_MAX, "headers");
    for (written, value) in section.headers.iter().flatten() {
        let path = key_path(&parent, written);
        let Some(Text(value)) = value else {
            check.fault(path, "has no value");
            continue;
        };
        let (name, value) = match written.strip_suffix("_file") {
            Some(name) => match secret_file(check, &path, value) {
                Some(secret) => (name, secret),
                None => continue,
            },
            None => (written.as_str(), Secret::new(value)),
        };
        let name_valid = reqwest::header::HeaderName::from_bytes(name.as_bytes()).is_ok();
        let value_valid = reqwest::header::HeaderValue::from_str(value.expose()).is_ok();
        if !name_valid || !value_valid {
            check.fault(path.clone(), "is not a valid HTTP header");
        } else if name.to_ascii_lowercase().starts_with("webhook-") {
            check.fault(path.clone(), "headers that start with `webhook-` are the signature's");
        }
        if headers.insert(name.to_ascii_lowercase(), value).is_some() {
            check.fault(path, "this header is set twice; keep one");
        }
    }
    headers
}
