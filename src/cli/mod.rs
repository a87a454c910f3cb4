//! Commands, each in a file of its own. Exit codes: 0 done, 1 failed, 2 the input is at fault.

mod compare;
mod config;
mod demo;
mod inspect;
mod profile;
mod run;
mod state;

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::io::IsTerminal;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// Tells, while it happens, whether deployed models are still right, and asks for a new one when
/// one is not.
///
/// tidemark reads predictions and ground truth from Kafka, joins them by id over event time, keeps
/// live performance, drift and data quality for every model, version, slice and window, exposes
/// them to Prometheus, and fires retraining webhooks.
///
/// To see it work, with nothing installed: tidemark demo
///
/// To begin with your own topics:
///   tidemark inspect income.predictions -b 127.0.0.1:9092    # proposes the fields
///   tidemark profile reference.csv -o income.json            # what the inputs should look like
///   tidemark check -c tidemark.yaml                          # all faults at once
///   tidemark run -c tidemark.yaml
#[derive(Parser)]
#[command(name = "tidemark", version, verbatim_doc_comment, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    log: Log,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
struct Log {
    /// What is logged to standard error: error, warn, info, debug or trace, or a filter such as
    /// `info,tidemark::io::kafka=debug`. Absent: info; of the demo, which fills the screen, error.
    #[arg(long, global = true, env = "TIDEMARK_LOG")]
    log: Option<String>,
    /// How it is logged.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Subcommand)]
enum Command {
    /// Show all of it at work: a model goes wrong for some people, is found out, and is retrained.
    Demo(demo::DemoArgs),
    /// Run the daemon until it gets SIGTERM or SIGINT.
    Run(run::RunArgs),
    /// Check a configuration: all faults at once, each with file, line and path; else what it
    /// means.
    Check(config::CheckArgs),
    /// Make a reference profile from CSV, JSON Lines or Parquet files.
    Profile(Box<profile::Command>),
    // Its help is that of its arguments, which teaches.
    Compare(Box<tidemark::compare::CompareArgs>),
    /// Print the JSON Schema of the configuration file, for editors.
    Schema,
    /// Read a few records of a topic and propose the configuration of its fields.
    Inspect(inspect::InspectArgs),
    // Its help is that of its arguments, which teaches.
    State(state::StateArgs),
}

pub fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(error) = start_log(&cli.log, matches!(cli.command, Command::Demo(_))) {
        eprintln!("--log: {error}");
        return ExitCode::from(2);
    }
    match cli.command {
        Command::Demo(args) => demo::demo(args),
        Command::Run(args) => run::run(&args),
        Command::Check(args) => config::check(&args),
        Command::Profile(args) => profile::profile(*args),
        Command::Compare(args) => compare::compare(&args),
        Command::Schema => config::schema(),
        Command::Inspect(args) => inspect::inspect(&args),
        Command::State(args) => state::state(&args),
    }
}

fn start_log(log: &Log, quiet: bool) -> Result<(), String> {
    let wanted = log.log.as_deref().unwrap_or(if quiet { "error" } else { "info" });
    let filter = EnvFilter::try_new(wanted).map_err(|error| error.to_string())?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    match log.log_format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}

/// Says what went wrong, with its causes, in one line.
fn fail(error: &dyn std::error::Error) -> ExitCode {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    eprintln!("tidemark: {text}");
    ExitCode::FAILURE
}
