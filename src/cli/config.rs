//! `tidemark check` and `tidemark schema`.

use clap::Args;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tidemark::config::{self, ConfigErrors, Plan};
use tidemark::profile;

#[derive(Args)]
pub struct CheckArgs {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE", env = "TIDEMARK_CONFIG")]
    config: PathBuf,
}

/// Loads a configuration; faults are printed and make exit code 2.
pub fn load(path: &Path) -> Result<Plan, ExitCode> {
    read(path).map_err(|errors| {
        eprintln!("{errors}");
        ExitCode::from(2)
    })
}

/// Loads a configuration with the process' environment.
pub fn read(path: &Path) -> Result<Plan, ConfigErrors> {
    let env = |name: &str| std::env::var(name).ok();
    let read_profile = |path: &Path| profile::read(path).map_err(|error| error.to_string());
    config::load(path, &env, &read_profile)
}

pub fn check(args: &CheckArgs) -> ExitCode {
    match load(&args.config) {
        Ok(plan) => {
            print!("{}", config::check(&plan));
            ExitCode::SUCCESS
        }
        Err(code) => code,
    }
}

pub fn schema() -> ExitCode {
    match serde_json::to_string_pretty(&config::json_schema()) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => super::fail(&error),
    }
}
