//! `tidemark run`.

use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tidemark::daemon::{Daemon, Loader, Options};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Args)]
pub struct RunArgs {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE", env = "TIDEMARK_CONFIG")]
    config: PathBuf,
}

pub fn run(args: &RunArgs) -> ExitCode {
    let plan = match super::config::load(&args.config) {
        Ok(plan) => plan,
        Err(code) => return code,
    };
    let file = args.config.clone();
    let load: Loader = Arc::new(move || super::config::read(&file));
    let options =
        Options { config_file: Some(args.config.clone()), load: Some(load), ..Options::default() };
    let daemon = match Daemon::start(plan, options) {
        Ok(daemon) => daemon,
        Err(error) => return super::fail(&error),
    };
    stop_on_signals(&daemon);
    reload_on_signals(&daemon);
    match daemon.wait() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => super::fail(&error),
    }
}

/// SIGTERM and SIGINT stop the daemon in order; a second one ends the process at once.
pub fn stop_on_signals(daemon: &Daemon) {
    let stop = daemon.stopper();
    daemon.runtime().spawn(async move {
        if let Err(error) = wait_for_signals(&stop).await {
            tracing::error!(%error, "cannot listen for signals");
        }
    });
}

/// SIGHUP loads the configuration again. What came of it is logged.
fn reload_on_signals(daemon: &Daemon) {
    let reloader = daemon.reloader();
    daemon.runtime().spawn(async move {
        match signal(SignalKind::hangup()) {
            Ok(mut hangup) => {
                while hangup.recv().await.is_some() {
                    tracing::info!(name = "SIGHUP", "reloading");
                    let _ = reloader.reload().await;
                }
            }
            Err(error) => tracing::error!(%error, "cannot listen for SIGHUP"),
        }
    });
}

/// Sets `stop` at the first signal, ends the process at the second.
pub async fn wait_for_signals(stop: &Arc<AtomicBool>) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    loop {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        if stop.swap(true, Ordering::Relaxed) {
            tracing::warn!(name, "stopping at once; the state is that of the last checkpoint");
            std::process::exit(1);
        }
        tracing::info!(name, "stopping");
    }
}
