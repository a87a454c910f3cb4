//! Checks of the HTTP section.

use super::super::defaults::defaults;
use super::super::fault::quoted;
use super::super::plan::HttpPlan;
use super::super::value::Text;
use super::super::web::load_web;
use super::super::written::Config;
use super::Check;
use super::daemon::secret_file;
use std::net::SocketAddr;
use std::path::PathBuf;

pub fn http(check: &mut Check<'_>, config: &Config) -> Option<HttpPlan> {
    let section = config.http.clone().unwrap_or_default();
    let default = defaults().config.http.as_ref()?;
    let listen = section.listen.or_else(|| default.listen.clone())?;
    let listen = address(check, "http.listen", &listen);
    let metrics_listen =
        section.metrics_listen.and_then(|text| address(check, "http.metrics_listen", &text));
    if metrics_listen.is_some_and(|address| Some(address) == listen && address.port() != 0) {
        check.fault("http.metrics_listen", "is the address of `listen`; choose another port");
    }
    let web_config = section.web_config.and_then(|Text(file)| web_config(check, &file));
    let alertmanager_token = section.alertmanager.and_then(|section| {
        let Text(file) = check.required("http.alertmanager", "token_file", section.token_file)?;
        secret_file(check, "http.alertmanager.token_file", &file)
    });
    let series: u64 = check.bounded("http", "series_max", section.series_max, default.series_max);
    Some(HttpPlan {
        show_values: section.show_values.or(default.show_values)?,
        listen: listen?,
        metrics_listen,
        web_config,
        alertmanager_token,
        series_max: usize::try_from(series).ok()?,
    })
}

fn address(check: &mut Check<'_>, path: &str, Text(text): &Text) -> Option<SocketAddr> {
    let address = text.parse().ok();
    if address.is_none() {
        let message = format!("{} is not IP:PORT; write for example 127.0.0.1:9464", quoted(text));
        check.fault(path, message);
    }
    address
}

/// Each fault of the file becomes one of ours, with its place there.
fn web_config(check: &mut Check<'_>, file: &str) -> Option<PathBuf> {
    let path = check.file(file);
    match load_web(&path) {
        Ok(_) => Some(path),
        Err(errors) => {
            for fault in errors.to_string().lines() {
                check.fault("http.web_config", fault);
            }
            None
        }
    }
}
