//! The report at the end: what happened when, and the numbers.

use super::chronicle::{Chapter, Chronicle};
use super::screen::{Scene, moment};
use super::text::{accuracy, count, printed, short_id};
use crate::engine::monitor::WindowReport;
use std::fmt::Write;

/// Slices that are compared for each change.
const SLICES_SHOWN: usize = 5;

/// The report, ready to print.
pub fn summary(scene: &Scene, chronicle: &Chronicle) -> String {
    let mut out = String::from("\nWhat happened\n");
    for one in &chronicle.moments {
        line(&mut out, &moment(scene, one.at, &one.text));
    }
    for chapter in &chronicle.chapters {
        chapter_text(&mut out, chapter);
    }
    if let Some(frame) = &chronicle.frame {
        line(&mut out, "\nRecords");
        let seconds = scene.passed.as_secs_f64();
        line(&mut out, &format!("  {} read in {seconds:.1} s", count(frame.records)));
        line(
            &mut out,
            &format!(
                "  {} predictions = {} joined + {} waiting for a label + {} never labeled + {} \
                 other",
                count(frame.predictions),
                count(frame.joined),
                count(frame.pending),
                count(frame.unlabeled),
                count(frame.elsewhere)
            ),
        );
    }
    out
}

/// What did not happen that should have; `None` if all did.
pub fn missing(chronicle: &Chronicle) -> Option<String> {
    let Some(first) = chronicle.chapters.first() else {
        return Some("the world never changed".to_owned());
    };
    if first.requests.is_empty() {
        return Some("no retraining was requested after the drift".to_owned());
    }
    if first.requests.iter().all(|asked| asked.status.is_none()) {
        return Some("the request for a retraining was not delivered".to_owned());
    }
    None
}

fn chapter_text(out: &mut String, chapter: &Chapter) {
    let what = if chapter.rising { "incomes rose" } else { "incomes fell back" };
    line(out, &format!("\nWhen {what} under {}", printed(&chapter.version)));
    let after = chapter.live.as_ref().map(|(_, version)| printed(version));
    let head = after.as_deref().unwrap_or("");
    line(out, &format!("  {:<40} before  lowest  {head:>6}", "accuracy"));
    let value = |window: &Option<WindowReport>| {
        window.as_ref().and_then(|window| Some(accuracy(&window.whole)?.value))
    };
    let numbers = [&chapter.before, &chapter.lowest, &chapter.after].map(value);
    line(out, &format!("  {:<40} {}", "all", row(numbers)));
    for fall in chapter.falls().into_iter().take(SLICES_SHOWN) {
        let numbers = row([Some(fall.before), Some(fall.lowest), fall.after]);
        let labeled = count(fall.support);
        line(out, &format!("  {:<40} {numbers}  {labeled} labeled at the lowest", fall.slice));
    }
    for asked in &chapter.requests {
        let delivered = match asked.status {
            Some(status) => format!("delivered, status {status}"),
            None => "not delivered".to_owned(),
        };
        let verified = match asked.verified_bytes {
            Some(bytes) => format!("signature verified, body of {} bytes", count(bytes as u64)),
            None => "not received".to_owned(),
        };
        line(
            out,
            &format!("  retraining requested: {}, {delivered}, {verified}", short_id(&asked.id)),
        );
    }
    if chapter.requests.is_empty() {
        line(out, "  no retraining requested");
    }
}

fn row(numbers: [Option<f64>; 3]) -> String {
    let parts = numbers.map(|n| n.map_or("     -".to_owned(), |n| format!("{n:>6.3}")));
    parts.join("  ")
}

fn line(out: &mut String, text: &str) {
    writeln!(out, "{text}").expect("writing to a string cannot fail");
}
