//! The demo's directory, port and secret, and its configuration with them.

use super::{CONFIG, DemoError, PORT, people};
use crate::config::{self, Plan};
use crate::io::clock;
use crate::profile;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Holds what an Alertmanager has to say to ask for a retraining, as the configuration calls it.
const ALERTMANAGER_TOKEN: &str = "alertmanager.token";

/// The wanted port; or `PORT` if it is free, else any.
pub fn listen(port: Option<u16>) -> String {
    let port = port.unwrap_or_else(|| {
        // Somebody may take it in between: then the daemon says so.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, PORT)).is_ok();
        if free { PORT } else { 0 }
    });
    SocketAddr::from((Ipv4Addr::LOCALHOST, port)).to_string()
}

/// A new secret for every demo: 32 bytes, as Standard Webhooks write them.
pub fn random_secret() -> Result<String, DemoError> {
    let mut bytes = [0; 32];
    let source = Path::new("/dev/urandom");
    fs::File::open(source)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| DemoError::File(source.into(), error))?;
    Ok(format!("whsec_{}", STANDARD.encode(bytes)))
}

/// What the configuration leaves open.
pub struct Variables {
    pub bootstrap: String,
    pub state: String,
    pub listen: String,
    pub trainer: String,
    pub secret: String,
}

impl Variables {
    /// # Errors
    /// The configuration or a profile is not in the directory as it was written there.
    pub fn plan(&self, directory: &Path) -> Result<Plan, DemoError> {
        let environment = |name: &str| {
            let value = match name {
                "KAFKA_BOOTSTRAP" => &self.bootstrap,
                "DEMO_STATE" => &self.state,
                "DEMO_LISTEN" => &self.listen,
                "TRAINER_URL" => &self.trainer,
                "TRAINER_SECRET" => &self.secret,
                _ => return None,
            };
            Some(value.clone())
        };
        let read = |path: &Path| profile::read(path).map_err(|error| error.to_string());
        let path = directory.join("demo.yaml");
        Ok(config::load_bytes(&path, CONFIG.as_bytes(), &environment, &read)?)
    }
}

/// The directory with the demo's files.
pub struct Place {
    pub path: PathBuf,
    kept: bool,
}

impl Place {
    /// # Errors
    /// The directory cannot be made, or is not empty.
    pub fn new(wanted: Option<&Path>) -> Result<Self, DemoError> {
        let path = match wanted {
            Some(path) => {
                std::path::absolute(path).map_err(|error| DemoError::File(path.into(), error))?
            }
            None => {
                let name = format!("tidemark-demo-{}-{}", std::process::id(), clock::now().0);
                std::env::temp_dir().join(name)
            }
        };
        let file = |error| DemoError::File(path.clone(), error);
        fs::DirBuilder::new()
            .recursive(wanted.is_some())
            .mode(0o700)
            .create(&path)
            .map_err(file)?;
        if fs::read_dir(&path).map_err(file)?.next().is_some() {
            return Err(DemoError::NotEmpty(path));
        }
        let place = Self { path, kept: wanted.is_some() };
        place.write("demo.yaml", CONFIG.as_bytes())?;
        place.write(ALERTMANAGER_TOKEN, random_secret()?.as_bytes())?;
        for (name, packed) in people::PROFILES {
            place.write(name, &people::unpack(packed)?)?;
        }
        Ok(place)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), DemoError> {
        let path = self.path.join(name);
        fs::write(&path, bytes).map_err(|error| DemoError::File(path, error))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            tracing::error!(path = %self.path.display(), %error, "cannot remove the demo's files");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_demo_leaves_behind_is_a_configuration_that_loads() {
        let place = Place::new(None).unwrap();
        let path = place.path.clone();
        let read = |path: &Path| profile::read(path).map_err(|error| error.to_string());
        let plan = config::load(&path.join("demo.yaml"), &|_| None, &read).unwrap();
        assert_eq!(plan.models[0].version_references.len(), 1);
        assert!(matches!(Place::new(Some(&path)), Err(DemoError::NotEmpty(_))));
        drop(place);
        assert!(!path.exists());
    }
}
