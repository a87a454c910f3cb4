//! The file that `http.web_config` names: TLS and passwords of the HTTP listeners, with the keys of
//! Prometheus' exporter-toolkit (docs/web-configuration.md there). Keys that are not known are
//! refused: an option of security must not be ignored.
//!
//! Variables are not put in: password hashes are full of dollar signs. Files are named relative to
//! this file.

use super::fault::{ConfigErrors, FAULTS_MAX, Fault, quoted};
use super::tree::{self, key_path};
use super::value::Text;
use super::{read, read_file};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, version};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Users beyond this many are refused.
pub const USERS_MAX: usize = 256;
/// A dearer hash would take seconds at each first request.
pub const HASH_COST_MAX: u32 = 16;

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WebFile {
    tls_server_config: Option<TlsSection>,
    /// Name -> bcrypt hash.
    basic_auth_users: Option<BTreeMap<String, Option<Text>>>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TlsSection {
    cert_file: Option<Text>,
    key_file: Option<Text>,
    client_auth_type: Option<Text>,
    client_ca_file: Option<Text>,
    min_version: Option<Text>,
    max_version: Option<Text>,
}

/// What the listeners ask of their clients. Debug shows no hash.
#[derive(Clone, Default)]
pub struct WebConfig {
    /// Without it, plain HTTP.
    pub tls: Option<Arc<ServerConfig>>,
    /// bcrypt hashes by name; empty: no password is asked for.
    pub users: BTreeMap<String, String>,
    /// Every client must show a certificate.
    pub clients_verified: bool,
    /// This file and those that it names: when one changes, all are to be read again.
    pub files: Vec<PathBuf>,
}

impl fmt::Debug for WebConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebConfig")
            .field("tls", &self.tls.is_some())
            .field("users", &self.users.keys())
            .finish_non_exhaustive()
    }
}

/// Reads a web configuration and the files that it names.
///
/// # Errors
/// Every fault that can be seen at once.
pub fn load_web(path: &Path) -> Result<WebConfig, ConfigErrors> {
    let mut faults = Vec::new();
    let config = load(path, &mut faults);
    faults.sort_by_key(|fault| fault.mark);
    let more = faults.len() > FAULTS_MAX;
    faults.truncate(FAULTS_MAX);
    match config {
        Some(config) if faults.is_empty() => Ok(config),
        _ => Err(ConfigErrors { file: path.to_owned(), faults, more }),
    }
}

fn load(path: &Path, faults: &mut Vec<Fault>) -> Option<WebConfig> {
    let whole = |message: String| Fault { mark: None, path: String::new(), message };
    let bytes = match read_file(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            faults.push(whole(format!("cannot read the web configuration: {error}")));
            return None;
        }
    };
    let root = match tree::parse(&bytes, faults) {
        Ok(root) => root,
        Err(fault) => {
            faults.push(fault);
            return None;
        }
    };
    let file = read::read::<WebFile>(&root, faults)?;
    let mut web = Web {
        directory: path.parent().unwrap_or(Path::new("")),
        files: vec![path.to_owned()],
        found: Vec::new(),
    };
    let users = web.users(file.basic_auth_users.unwrap_or_default());
    let section = file.tls_server_config;
    let tls = section.as_ref().and_then(|section| web.tls(section));
    let clients_verified = section.and_then(|section| section.client_auth_type)
        == Some(Text("RequireAndVerifyClientCert".to_owned()));
    let Web { files, found, .. } = web;
    for (path, message) in found {
        faults.push(Fault { mark: Some(root.locate(&path).mark), path, message });
    }
    Some(WebConfig { tls, users, clients_verified, files })
}

/// The checks, and what they found: path and message.
struct Web<'a> {
    directory: &'a Path,
    files: Vec<PathBuf>,
    found: Vec<(String, String)>,
}

const TLS: &str = "tls_server_config";

impl Web<'_> {
    fn fault(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.found.push((path.into(), message.into()));
    }

    fn users(&mut self, written: BTreeMap<String, Option<Text>>) -> BTreeMap<String, String> {
        let section = "basic_auth_users";
        if written.len() > USERS_MAX {
            self.fault(section, format!("at most {USERS_MAX} users are allowed"));
        }
        let mut users = BTreeMap::new();
        for (name, hash) in written {
            let path = key_path(section, &name);
            let Some(Text(hash)) = hash else {
                self.fault(path, "has no value; write a bcrypt hash, as `htpasswd -nB` makes it");
                continue;
            };
            if name.is_empty() || name.contains(':') {
                self.fault(path.clone(), "a name must not be empty or contain a colon");
            }
            match hash.parse::<bcrypt::HashParts>() {
                Err(_) => {
                    self.fault(path, "is not a bcrypt hash; `htpasswd -nB` makes one");
                }
                Ok(parts) if parts.get_cost() > HASH_COST_MAX => {
                    let message = format!("this hash's cost is more than {HASH_COST_MAX}");
                    self.fault(path, message);
                }
                Ok(_) => drop(users.insert(name, hash)),
            }
        }
        users
    }

    fn tls(&mut self, section: &TlsSection) -> Option<Arc<ServerConfig>> {
        let versions = self.versions(section);
        let certs = self.certificates("cert_file", section.cert_file.as_ref(), true);
        let key = self.key(section);
        let clients = self.clients(section);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions?)
            .ok()?;
        let builder = match clients? {
            None => builder.with_no_client_auth(),
            Some(verifier) => builder.with_client_cert_verifier(verifier),
        };
        match builder.with_single_cert(certs?, key?) {
            Ok(mut config) => {
                config.alpn_protocols = vec![b"http/1.1".to_vec()];
                Some(Arc::new(config))
            }
            Err(error) => {
                self.fault(TLS, format!("the certificate and its key do not fit: {error}"));
                None
            }
        }
    }

    fn versions(&mut self, section: &TlsSection) -> Option<Vec<&'static SupportedProtocolVersion>> {
        const KNOWN: [(&str, &SupportedProtocolVersion); 2] =
            [("TLS12", &version::TLS12), ("TLS13", &version::TLS13)];
        let mut bound = |name: &str, written: Option<&Text>, default: usize| {
            let Some(Text(text)) = written else { return Some(default) };
            let found = KNOWN.iter().position(|(known, _)| known == text);
            if found.is_none() {
                let message = format!("{} is not TLS12 or TLS13", quoted(text));
                self.fault(key_path(TLS, name), message);
            }
            found
        };
        let least = bound("min_version", section.min_version.as_ref(), 0);
        let greatest = bound("max_version", section.max_version.as_ref(), 1);
        let (least, greatest) = (least?, greatest?);
        if least > greatest {
            self.fault(key_path(TLS, "max_version"), "is below min_version");
            return None;
        }
        Some(KNOWN[least..=greatest].iter().map(|(_, version)| *version).collect())
    }

    /// The content of a file that is named at `tls_server_config.NAME`.
    fn pem(&mut self, name: &str, written: Option<&Text>, required: bool) -> Option<Vec<u8>> {
        let Some(Text(file)) = written.filter(|Text(file)| !file.is_empty()) else {
            if required {
                self.fault(TLS, format!("`{name}` is missing; add it"));
            }
            return None;
        };
        let path = self.directory.join(file);
        let read = read_file(&path);
        self.files.push(path);
        read.map_err(|error| {
            let message = format!("cannot read the file {}: {error}", quoted(file));
            self.fault(key_path(TLS, name), message);
        })
        .ok()
    }

    fn certificates(
        &mut self,
        name: &str,
        written: Option<&Text>,
        required: bool,
    ) -> Option<Vec<CertificateDer<'static>>> {
        let pem = self.pem(name, written, required)?;
        let certs: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        match certs {
            Ok(certs) if !certs.is_empty() => Some(certs),
            _ => {
                self.fault(key_path(TLS, name), "has no certificate in PEM form");
                None
            }
        }
    }

    fn key(&mut self, section: &TlsSection) -> Option<PrivateKeyDer<'static>> {
        let pem = self.pem("key_file", section.key_file.as_ref(), true)?;
        // The reason could repeat a part of the key.
        let key = PrivateKeyDer::from_pem_slice(&pem);
        key.map_err(|_| self.fault(key_path(TLS, "key_file"), "has no private key in PEM form"))
            .ok()
    }

    /// The outer `None` is a fault, the inner one: clients need no certificate.
    #[allow(clippy::option_option)]
    fn clients(
        &mut self,
        section: &TlsSection,
    ) -> Option<Option<Arc<dyn rustls::server::danger::ClientCertVerifier>>> {
        let path = key_path(TLS, "client_auth_type");
        let written = section.client_auth_type.as_ref().map_or("", |Text(text)| text);
        let must = match written {
            "" | "NoClientCert" => {
                if section.client_ca_file.is_some() {
                    let message = "is set, but clients are not asked for a certificate; set \
                                   client_auth_type: RequireAndVerifyClientCert";
                    self.fault(key_path(TLS, "client_ca_file"), message);
                }
                return Some(None);
            }
            "VerifyClientCertIfGiven" => false,
            "RequireAndVerifyClientCert" => true,
            "RequestClientCert" | "RequireAnyClientCert" => {
                let message = "a certificate that nobody verifies says nothing; use \
                               RequireAndVerifyClientCert or VerifyClientCertIfGiven";
                self.fault(path, message);
                return None;
            }
            other => {
                let message = format!(
                    "{} is not one of NoClientCert, VerifyClientCertIfGiven, \
                     RequireAndVerifyClientCert",
                    quoted(other)
                );
                self.fault(path, message);
                return None;
            }
        };
        let known = self.certificates("client_ca_file", section.client_ca_file.as_ref(), true)?;
        let mut roots = RootCertStore::empty();
        for cert in known {
            if let Err(error) = roots.add(cert) {
                self.fault(key_path(TLS, "client_ca_file"), format!("cannot be used: {error}"));
                return None;
            }
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let builder = if must { builder } else { builder.allow_unauthenticated() };
        match builder.build() {
            Ok(verifier) => Some(Some(verifier)),
            Err(error) => {
                self.fault(key_path(TLS, "client_ca_file"), format!("cannot be used: {error}"));
                None
            }
        }
    }
}
