//! Making profiles and reading them back.

use clap::Parser;
use tidemark::profile::ProfileArgs;

/// The options as the command line gives them.
#[derive(Parser)]
pub struct Cli {
    #[command(flatten)]
    pub args: ProfileArgs,
}
