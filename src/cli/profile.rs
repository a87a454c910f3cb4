//! `tidemark profile`.

use clap::Args;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use tidemark::profile::{self, ProfileArgs};

#[derive(Args)]
pub struct Command {
    #[command(flatten)]
    args: ProfileArgs,
}

pub fn profile(command: Command) -> ExitCode {
    let shown = std::io::stderr().is_terminal();
    let mut progress = |progress: profile::Progress| {
        if shown {
            let mut out = std::io::stderr().lock();
            // Progress that cannot be shown is no reason to stop.
            let profile::Progress { pass, file, rows } = progress;
            let file = profile::printable(&file, 60);
            let _ = write!(out, "\r\x1b[2Kpass {pass}: {rows} rows, {file}");
            let _ = out.flush();
        }
    };
    let result = profile::run(command.args, &mut progress);
    if shown {
        eprint!("\r\x1b[2K");
    }
    match result {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("tidemark: {error}");
            ExitCode::from(2)
        }
    }
}
