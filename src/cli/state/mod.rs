//! `tidemark state`: looks into the state store. Reads only, and disturbs no daemon that writes to
//! it.

mod report;
mod table;

use clap::{Args, Subcommand};
use report::{Details, Summary, Verdict};
use std::path::PathBuf;
use std::process::ExitCode;
use tidemark::config::Plan;
use tidemark::io::checkpoint::{Listing, OpenError, Store, StoreOptions};

/// Look into the state store: what is there, what it holds, whether it is whole.
///
/// The state is a set of lineages: `shards/GROUP/PARTITION` (what was read of one partition of each
/// topic of a group, and what waits there) and `models/MODEL` (policies, windows, requests). A
/// lineage is a row of numbered files: full checkpoints, deltas on them, and claims by which a
/// daemon that starts fences the one before it. Nothing is changed here, and a daemon may run.
///
///   tidemark state ls -c tidemark.yaml           # lineages, files, bytes, the newest checkpoint
///   tidemark state show -c tidemark.yaml models/income
///   tidemark state verify --url s3://bucket/prefix    # every checksum; exit code 1 for damage
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct StateArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List lineages: files, bytes, the newest checkpoint's number, epoch and age.
    Ls(Ls),
    /// Show what a lineage holds, and what a restore would choose and why. Verifies what it reads.
    Show(Show),
    /// Read every file and verify every checksum; exit code 1 if something is damaged.
    ///
    /// A damaged file is no reason to worry about what follows it: a restore takes the newest chain
    /// that is whole, and what came after it is read from Kafka again. Of no harm either is a
    /// lineage that cannot be restored at all, as long as Kafka still has the records.
    Verify(Verify),
}

#[derive(Args)]
struct Place {
    /// Takes the URL from a configuration file, and tells whether the state fits it.
    #[arg(short, long, value_name = "FILE", env = "TIDEMARK_CONFIG")]
    config: Option<PathBuf>,
    /// file:///directory, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix.
    #[arg(long, value_name = "URL", conflicts_with = "config")]
    url: Option<String>,
    /// JSON, for programs.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Ls {
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
struct Verify {
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
struct Show {
    /// A lineage, or the beginning of several, as `ls` names them; absent: all.
    lineage: Option<String>,
    #[command(flatten)]
    place: Place,
}

pub fn state(args: &StateArgs) -> ExitCode {
    let (place, only) = match &args.command {
        Command::Ls(ls) => (&ls.place, None),
        Command::Show(show) => (&show.place, show.lineage.as_deref()),
        Command::Verify(verify) => (&verify.place, None),
    };
    let (store, plan) = match open(place) {
        Ok(opened) => opened,
        Err(code) => return code,
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return super::fail(&error),
    };
    let done = runtime.block_on(async {
        let listing = Listing::of(&store).await?;
        match &args.command {
            Command::Ls(_) => list(&store, &listing, place.json).await,
            Command::Show(_) => show(&store, &listing, plan.as_ref(), only, place.json).await,
            Command::Verify(_) => verify(&store, &listing, plan.as_ref(), place.json).await,
        }
    });
    done.unwrap_or_else(|error| super::fail(&error))
}

fn open(place: &Place) -> Result<(Store, Option<Plan>), ExitCode> {
    let plan = place.config.as_deref().map(super::config::load).transpose()?;
    let url = match (&plan, &place.url) {
        (Some(plan), _) => plan.state.url.clone(),
        (None, Some(url)) => url.clone(),
        (None, None) => {
            eprintln!(
                "tidemark: say where the state is: -c tidemark.yaml or --url file:///directory"
            );
            return Err(ExitCode::from(2));
        }
    };
    let store = Store::open_existing(&url, StoreOptions::default()).map_err(|error| {
        eprintln!("tidemark: {error}");
        ExitCode::from(2)
    })?;
    Ok((store, plan))
}

async fn list(store: &Store, listing: &Listing, json: bool) -> Result<ExitCode, OpenError> {
    let mut summaries = Vec::new();
    for (path, files) in &listing.lineages {
        summaries.push(Summary::of(store, path, files).await?);
    }
    match json {
        true => print_json(&serde_json::json!({
            "lineages": summaries,
            "other_files": listing.others_count,
        })),
        false => print!("{}", table::list(&summaries, listing)),
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(
    store: &Store,
    listing: &Listing,
    plan: Option<&Plan>,
    only: Option<&str>,
    json: bool,
) -> Result<ExitCode, OpenError> {
    let mut details = Vec::new();
    for (path, files) in &listing.lineages {
        if only.is_none_or(|only| path.to_string().starts_with(only)) {
            details.push(Details::of(store, path, files, plan).await?);
        }
    }
    if details.is_empty() {
        let known: Vec<String> = listing.lineages.keys().map(ToString::to_string).collect();
        let known = if known.is_empty() { "there are none".to_owned() } else { known.join(", ") };
        eprintln!("tidemark: no lineage begins with {}: {known}", only.unwrap_or_default());
        return Ok(ExitCode::from(2));
    }
    match json {
        true => print_json(&serde_json::json!({ "lineages": details })),
        false => print!("{}", table::show(&details)),
    }
    Ok(ExitCode::SUCCESS)
}

async fn verify(
    store: &Store,
    listing: &Listing,
    plan: Option<&Plan>,
    json: bool,
) -> Result<ExitCode, OpenError> {
    let mut verdicts = Vec::new();
    for (path, files) in &listing.lineages {
        verdicts.push(Verdict::of(store, path, files, plan).await?);
    }
    let whole = verdicts.iter().all(Verdict::is_whole);
    match json {
        true => print_json(&serde_json::json!({
            "whole": whole,
            "lineages": verdicts,
            "other_files": listing.others.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        })),
        false => print!("{}", table::verify(&verdicts, listing)),
    }
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print_json(value: &serde_json::Value) {
    println!("{value:#}");
}
