//! Shows what happens while it happens, and reports at the end.

use super::chronicle::Chronicle;
use super::feed::Pace;
use super::news::{News, Progress};
use super::screen::{self, Scene};
use super::{DemoError, Options, summary};
use crate::io::clock;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Event time in which the whole story fits: shorter demos need not have all of it.
const STORY: Duration = Duration::from_secs(20 * 60);
/// A screen is redrawn, or a line written, so often.
const REDRAW_EVERY: Duration = Duration::from_millis(250);
const LINE_EVERY: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// On a machine that is too busy the demo takes longer than was asked for, but not longer than this
/// many times, and a while for the start.
const PATIENCE: u32 = 4;
const PATIENCE_START: Duration = Duration::from_secs(30);
/// At the end: for the last records to be read.
const DRAIN_WITHIN: Duration = Duration::from_secs(3);

/// What the audience sees.
pub struct Show<'a> {
    pub options: &'a Options,
    pub pace: Pace,
    pub url: String,
    pub progress: &'a Progress,
    pub chronicle: Chronicle,
    /// Moments that have been printed.
    pub told: usize,
    pub drawn_at: Option<Instant>,
    pub out: &'a mut dyn Write,
}

impl Show<'_> {
    /// Shows what happens until it is over.
    pub fn watch(&mut self, audience: &Receiver<News>, stop: &AtomicBool) -> Result<(), DemoError> {
        let began_at = clock::monotonic();
        let length = self.options.length;
        let patience = length.map(|length| length * PATIENCE + PATIENCE_START);
        loop {
            let news = match audience.recv_timeout(LOOK_EVERY) {
                Ok(news) => Some(news),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            match news {
                Some(News::FeedEnded(result)) => {
                    return self.drain(audience, result?);
                }
                // The daemon says itself why.
                Some(News::EngineEnded) => return Ok(()),
                Some(news) => self.chronicle.take(news, self.progress.event_time()),
                None => {}
            }
            let now = clock::monotonic();
            let patient = patience.is_none_or(|patience| now.duration_since(began_at) < patience);
            if stop.load(Ordering::Relaxed) || !patient || !self.draw(now) {
                return Ok(());
            }
        }
    }

    /// Waits until the daemon has read all records that were sent.
    fn drain(&mut self, audience: &Receiver<News>, sent: u64) -> Result<(), DemoError> {
        let deadline = clock::monotonic() + DRAIN_WITHIN;
        while clock::monotonic() < deadline {
            let Ok(news) = audience.recv_timeout(LOOK_EVERY) else { continue };
            let done = matches!(&news, News::Frame(frame) if frame.records >= sent);
            let ended = matches!(&news, News::EngineEnded);
            self.chronicle.take(news, self.progress.event_time());
            if done || ended {
                break;
            }
        }
        Ok(())
    }

    fn scene(&self) -> Scene {
        let event_time = self.progress.event_time();
        let passed = (event_time - self.pace.begins_at).0.max(0).unsigned_abs();
        Scene {
            passed: Duration::from_micros(passed / u64::from(self.pace.speed)),
            length: self.options.length,
            speed: self.pace.speed,
            event_time,
            begins_at: self.pace.begins_at,
            url: self.url.clone(),
            colors: self.options.colors,
        }
    }

    /// False if there is nobody to show it to.
    fn draw(&mut self, now: Instant) -> bool {
        let every = if self.options.terminal { REDRAW_EVERY } else { LINE_EVERY };
        let due = self.drawn_at.is_none_or(|last| now.duration_since(last) >= every);
        let scene = self.scene();
        let mut text = String::new();
        if self.options.terminal {
            if due {
                text = redrawn(&screen::screen(&scene, &self.chronicle), self.drawn_at.is_none());
            }
        } else {
            if self.drawn_at.is_none() {
                let url = &self.url;
                text = format!(
                    "tidemark demo: the page is at http://{url}/, metrics at http://{url}/metrics\n"
                );
            }
            for one in &self.chronicle.moments[self.told..] {
                text += &screen::moment(&scene, one.at, &one.text);
                text.push('\n');
            }
            self.told = self.chronicle.moments.len();
            if due && self.chronicle.frame.is_some() {
                text += &screen::line(&scene, &self.chronicle);
                text.push('\n');
            }
        }
        if due {
            self.drawn_at = Some(now);
        }
        text.is_empty() || self.write(&text)
    }

    fn write(&mut self, text: &str) -> bool {
        self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()).is_ok()
    }

    /// The report.
    pub fn close(&mut self) {
        let mut text = summary::summary(&self.scene(), &self.chronicle);
        if let Some(directory) = &self.options.state {
            text +=
                &format!("\nConfiguration, profiles and state are in {}.\n", directory.display());
        }
        self.write(&text);
    }

    /// Whether a demo that was long enough, and was not told to stop, has shown the whole story.
    pub fn verdict(&self, stopped: bool) -> Result<(), DemoError> {
        let long = self.options.length.is_some_and(|length| length * self.pace.speed >= STORY);
        match summary::missing(&self.chronicle) {
            Some(what) if long && !stopped => Err(DemoError::Incomplete(what)),
            _ => Ok(()),
        }
    }
}

/// The lines from the upper left corner on. Lines that are too long are cut by the terminal, not
/// broken.
fn redrawn(lines: &[String], first: bool) -> String {
    let mut text = String::from(if first { "\x1b[2J\x1b[H\x1b[?7l" } else { "\x1b[H\x1b[?7l" });
    for line in lines {
        text += line;
        text += "\x1b[K\n";
    }
    text += "\x1b[J\x1b[?7h";
    text
}
