//! The same for people: tables and sentences.

use super::report::{Details, Input, Model, Shard, ShardModel, Summary, Verdict, counted};
use std::fmt::Write;
use tidemark::io::checkpoint::Listing;

pub fn list(summaries: &[Summary], listing: &Listing) -> String {
    let mut rows = vec![
        ["LINEAGE", "FILES", "BYTES", "NEWEST", "KIND", "EPOCH", "CREATED"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for one in summaries {
        rows.push(vec![
            one.lineage.clone(),
            one.files.to_string(),
            bytes(one.bytes),
            number(one.newest_seq),
            one.kind.unwrap_or("-").to_owned(),
            number(one.epoch),
            one.created_at.clone().unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    let mut out =
        if summaries.is_empty() { "there is no state here\n".to_owned() } else { columns(&rows) };
    others(&mut out, listing);
    out
}

pub fn show(details: &[Details]) -> String {
    let mut out = String::new();
    for one in details {
        let Details { lineage, restore, .. } = one;
        line(&mut out, format_args!("{lineage}: {}, {}", files(one.files), bytes(one.bytes)));
        line(&mut out, format_args!("  a restore takes {}", restore.why));
        for file in &restore.chain {
            let created = file.created_at.as_deref().unwrap_or("-");
            line(
                &mut out,
                format_args!(
                    "    {:>8} {:<5} epoch {}, {}, {created}",
                    file.seq,
                    file.kind,
                    file.epoch,
                    bytes(file.bytes)
                ),
            );
        }
        for skipped in &restore.skipped {
            line(&mut out, format_args!("    {:>8} unusable: {}", skipped.seq, skipped.reason));
        }
        if let Some(fits) = restore.fits {
            let fits = if fits { "fits" } else { "does not fit" };
            line(&mut out, format_args!("  it {fits} this configuration"));
        }
        if let Some(fault) = &one.fault {
            line(&mut out, format_args!("  it cannot be read: {fault}"));
        }
        if let Some(shard) = &one.shard {
            show_shard(&mut out, shard);
        }
        if let Some(model) = &one.model {
            show_model(&mut out, model);
        }
        out.push('\n');
    }
    out
}

fn show_shard(out: &mut String, shard: &Shard) {
    for input in &shard.inputs {
        let Input { side, topic, partition, rows_read, rows_refused, .. } = input;
        let next = input.next_offset.map_or_else(|| "-".to_owned(), |next| next.to_string());
        let newest = input.newest.as_deref().unwrap_or("-");
        line(
            out,
            format_args!(
                "  {side} {topic}, partition {partition}: next offset {next}, newest event \
                 {newest}, {rows_read} rows read, {rows_refused} refused"
            ),
        );
    }
    for model in &shard.models {
        let ShardModel { pending, labelled, panes, .. } = model;
        let range = match (&model.first_pane, &model.last_pane) {
            (Some(first), Some(last)) => format!(" from {first} to {last}"),
            _ => String::new(),
        };
        line(
            out,
            format_args!(
                "  model {} ({}): {pending} pending, {labelled} held with a label, {panes} panes\
                 {range}",
                model.model,
                model.versions.join(", ")
            ),
        );
        let closing = |at: &Option<String>| at.clone().unwrap_or_else(|| "-".to_owned());
        line(
            out,
            format_args!(
                "    closing watermarks: predictions {}, labels {}",
                closing(&model.predictions_closing),
                closing(&model.labels_closing)
            ),
        );
        let outcomes: Vec<String> =
            model.outcomes.iter().map(|(outcome, count)| format!("{outcome} {count}")).collect();
        if !outcomes.is_empty() {
            line(out, format_args!("    ended: {}", outcomes.join(", ")));
        }
    }
    for (topic, waiting) in shard.waiting_labels.iter().enumerate() {
        line(out, format_args!("  labels {topic}: {waiting} wait for their prediction"));
    }
}

fn show_model(out: &mut String, model: &Model) {
    for (at, closed) in model.closed_through.iter().enumerate() {
        let finals = model.final_through.get(at).cloned().flatten();
        line(
            out,
            format_args!(
                "  windows {at}: closed through {}, final through {}",
                closed.as_deref().unwrap_or("-"),
                finals.as_deref().unwrap_or("-")
            ),
        );
    }
    line(out, format_args!("  {} firings", model.firings));
    for policy in &model.policies {
        let judged = policy.judged_through.as_deref().unwrap_or("-");
        let firing = match policy.firing.as_slice() {
            [] => String::new(),
            versions => format!(", firing for {}", versions.join(", ")),
        };
        line(out, format_args!("  policy {}: judged through {judged}{firing}", policy.name));
    }
    for request in &model.requests {
        line(
            out,
            format_args!(
                "  request {} to {} for the window that ends {}: {}",
                request.id, request.webhook, request.window_end, request.state
            ),
        );
    }
}

pub fn verify(verdicts: &[Verdict], listing: &Listing) -> String {
    let mut out = String::new();
    for one in verdicts {
        let verdict = if one.is_whole() { "whole" } else { "DAMAGED" };
        line(
            &mut out,
            format_args!("{}: {verdict}, {}, {}", one.lineage, files(one.files), bytes(one.bytes)),
        );
        for damaged in &one.damaged {
            line(&mut out, format_args!("  {}: {}", damaged.file, damaged.reason));
        }
        let told = |seq: u64| one.damaged.iter().any(|damaged| damaged.seq == seq);
        for skipped in one.restore.skipped.iter().filter(|skipped| !told(skipped.seq)) {
            line(&mut out, format_args!("  {}: {}", skipped.file, skipped.reason));
        }
        if !one.is_whole() || one.restore.fits == Some(false) {
            line(&mut out, format_args!("  a restore takes {}", one.restore.why));
        }
        if one.restore.fits == Some(false) {
            line(&mut out, format_args!("  it does not fit this configuration"));
        }
        if let Some(fault) = &one.fault {
            line(&mut out, format_args!("  it cannot be read: {fault}"));
        }
    }
    others(&mut out, listing);
    let damaged = verdicts.iter().filter(|one| !one.is_whole()).count();
    let files: usize = verdicts.iter().map(|one| one.files).sum();
    line(
        &mut out,
        format_args!(
            "{} verified in {}: {}",
            counted(files, "file"),
            counted(verdicts.len(), "lineage"),
            if damaged == 0 { "all whole".to_owned() } else { format!("{damaged} damaged") }
        ),
    );
    out
}

fn others(out: &mut String, listing: &Listing) {
    for (name, size) in &listing.others {
        line(out, format_args!("not ours: {name}, {}", bytes(*size)));
    }
    let more = listing.others_count.saturating_sub(listing.others.len() as u64);
    if more > 0 {
        line(out, format_args!("not ours: {more} more files"));
    }
}

fn files(count: usize) -> String {
    counted(count, "file")
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("writing to a string cannot fail");
}

fn number(value: Option<u64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// In the unit that leaves at least one digit before the point.
fn bytes(count: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let mut value = count as f64;
    let mut unit = "B";
    for next in units {
        if value < 1_024.0 {
            break;
        }
        value /= 1_024.0;
        unit = next;
    }
    if unit == "B" { format!("{count} B") } else { format!("{value:.1} {unit}") }
}

/// Cells under each other: the first column to the left, numbers to the right.
fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.first().map_or(0, Vec::len);
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut text = String::new();
        for (at, cell) in row.iter().enumerate() {
            let width = widths[at];
            match at {
                0 | 4 | 6 => write!(text, "{cell:<width$}  "),
                _ => write!(text, "{cell:>width$}  "),
            }
            .expect("writing to a string cannot fail");
        }
        line(&mut out, format_args!("{}", text.trim_end()));
    }
    out
}
