//! `tidemark compare`.

use std::process::ExitCode;
use tidemark::compare::{self, CompareArgs};

pub fn compare(args: &CompareArgs) -> ExitCode {
    let comparison = match compare::run(args) {
        Ok(comparison) => comparison,
        Err(error) => {
            eprintln!("tidemark: {error}");
            return ExitCode::from(2);
        }
    };
    match args.json {
        true => println!("{:#}", comparison.to_json()),
        false => print!("{}", comparison.table(args.summary)),
    }
    let drifted = comparison.drifted().next().is_some();
    if drifted && args.fail_on_drift { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
