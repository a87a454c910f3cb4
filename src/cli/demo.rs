//! `tidemark demo`.

use super::run::wait_for_signals;
use clap::Args;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tidemark::demo::{self, CONFIG, Options, Outside};
use tidemark::engine::time::Span;

#[derive(Args)]
pub struct DemoArgs {
    /// How long: 20s shows the whole story at the usual speed. Absent: until Ctrl-C.
    #[arg(long = "for", value_name = "TIME", value_parser = length)]
    length: Option<Duration>,
    /// Event time runs so many times as fast as ours.
    #[arg(long, value_name = "TIMES", default_value_t = 60)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=120))]
    speed: u32,
    /// Port of /metrics on the loopback address, 0 for any. Absent: 9464, or any if that is taken.
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// An empty or new directory for configuration, profiles and state, which stay there. Absent: a
    /// temporary one.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Send the story to these brokers (host:port, several by commas) for a daemon that runs
    /// elsewhere, and be its trainer. Topics: census.predictions and census.labels; they must be
    /// there.
    #[arg(long, value_name = "BROKERS", conflicts_with_all = ["port", "state", "print_config"])]
    bootstrap: Option<String>,
    /// Where the trainer waits for requests, with --bootstrap.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8080", requires = "bootstrap")]
    trainer: SocketAddr,
    /// What requests are signed with, with --bootstrap. Absent: as in the configuration that
    /// --print-config prints.
    #[arg(long, env = "TRAINER_SECRET", hide_env_values = true, requires = "bootstrap")]
    #[arg(default_value = demo::SECRET, hide_default_value = true)]
    secret: String,
    /// Print the configuration that the demo runs, and do nothing else.
    #[arg(long)]
    print_config: bool,
}

/// From a second to a day.
fn length(text: &str) -> Result<Duration, String> {
    let span: Span = text.parse()?;
    if !(Span::from_secs(1)..=Span::from_hours(24)).contains(&span) {
        return Err("must be 1s to 1d".to_owned());
    }
    Ok(Duration::from_micros(span.0.unsigned_abs()))
}

pub fn demo(args: DemoArgs) -> ExitCode {
    if args.print_config {
        print!("{CONFIG}");
        return ExitCode::SUCCESS;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("demo-trainer")
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return super::fail(&error),
    };
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    runtime.spawn(async move {
        if let Err(error) = wait_for_signals(&told).await {
            tracing::error!(%error, "cannot listen for signals");
        }
    });
    let mut out = std::io::stdout();
    let result = match &args.bootstrap {
        Some(bootstrap) => demo::produce(
            &Outside {
                bootstrap: bootstrap.clone(),
                trainer: args.trainer,
                secret: args.secret.clone(),
                speed: args.speed,
                length: args.length,
            },
            runtime.handle(),
            &stop,
            &mut out,
        ),
        None => demo::run(&options(&args), runtime.handle(), &stop, &mut out),
    };
    runtime.shutdown_timeout(Duration::from_millis(500));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => super::fail(&error),
    }
}

fn options(args: &DemoArgs) -> Options {
    let terminal = std::io::stdout().is_terminal();
    Options {
        length: args.length,
        speed: args.speed,
        port: args.port,
        state: args.state.clone(),
        terminal,
        colors: terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    }
}
