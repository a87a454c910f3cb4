//! Checks of the HTTP section.

use super::super::defaults::defaults;
use super::super::fault::quoted;
use super::super::plan::HttpPlan;
use super::super::value::Text;
use super::super::written::Config;
use super::Check;

pub fn http(check: &mut Check<'_>, config: &Config) -> Option<HttpPlan> {
    let section = config.http.clone().unwrap_or_default();
    let default = defaults().config.http.as_ref()?;
    let Text(listen) = section.listen.or_else(|| default.listen.clone())?;
    let address = listen.parse().ok();
    if address.is_none() {
        let message =
            format!("{} is not IP:PORT; write for example 127.0.0.1:9464", quoted(&listen));
        check.fault("http.listen", message);
    }
    let series: u64 = check.bounded("http", "series_max", section.series_max, default.series_max);
    Some(HttpPlan { listen: address?, series_max: usize::try_from(series).ok()? })
}
