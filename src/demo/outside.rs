//! The demo's world for a daemon elsewhere: sends the story to a real broker, and is the trainer.
//!
//! The story's event times end at now; from then on the world goes on as fast as ours.

use super::DemoError;
use super::feed::{Feed, Pace};
use super::news::{NEWS_MAX, News, Progress};
use super::people;
use super::stream::Stream;
use super::text::{printed, short_id, time_of_day};
use super::{MINUTE, SEED};
use crate::engine::time::{Span, Timestamp};
use crate::io::clock;
use crate::io::webhook::{Receiver, SigningSecret};
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

/// Event time in which the whole story happens.
const STORY: Span = Span::from_mins(20);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Where the daemon's world is.
#[derive(Clone, Debug)]
pub struct Outside {
    /// The broker; its two topics are there.
    pub bootstrap: String,
    /// Where the trainer waits for requests.
    pub trainer: SocketAddr,
    /// What requests are signed with.
    pub secret: String,
    /// Until the story has caught up with now, event time runs so many times as fast as ours.
    pub speed: u32,
    /// Absent: until it is told to stop.
    pub length: Option<Duration>,
}

/// Sends the story and prints its beats, until its length is over or `stop` is set.
///
/// # Errors
/// The broker does not take records, or the trainer's address is taken.
pub fn produce(
    outside: &Outside,
    runtime: &tokio::runtime::Handle,
    stop: &AtomicBool,
    out: &mut dyn Write,
) -> Result<(), DemoError> {
    let signing = SigningSecret::parse(&outside.secret)?;
    let now: crate::io::Now = Arc::new(clock::now);
    let trainer = Receiver::start_on(outside.trainer, signing, now);
    let trainer = Arc::new(runtime.block_on(trainer).map_err(DemoError::Trainer)?);
    let url = trainer.url();
    let (news, audience) = sync_channel(NEWS_MAX);
    let progress = Arc::new(Progress::default());
    let begins_at = begin(clock::now(), outside.speed);
    let pace = Pace::new(begins_at, outside.speed, outside.length);
    let stream = Stream::new(people::people()?, begins_at, SEED);
    let serving = stream.story.version();
    let bootstrap = &outside.bootstrap;
    let feed = Feed::new(bootstrap, stream, pace, trainer, news.clone(), Arc::clone(&progress))?;
    let feed = feed.unfollowed();
    let mut teller = Teller { out, serving: serving.to_owned() };
    teller.line(clock::now(), &format!("{serving} is live; requests for a retraining go to {url}"));
    let feeding = std::thread::Builder::new()
        .name("demo-feed".to_owned())
        .spawn(move || {
            let result = feed.run();
            // It fails when the audience has gone.
            let _ = news.send(News::FeedEnded(result));
        })
        .map_err(DemoError::Thread)?;
    let ended = loop {
        if stop.load(Ordering::Relaxed) {
            progress.stop();
        }
        match audience.recv_timeout(LOOK_EVERY) {
            Ok(News::FeedEnded(result)) => break result,
            Ok(news) => teller.tell(news),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break Ok(0),
        }
    };
    let _ = feeding.join();
    let sent = ended?;
    teller.line(clock::now(), &format!("{sent} records were sent"));
    Ok(())
}

/// So long ago that the story catches up with now when it is over.
fn begin(now: Timestamp, speed: u32) -> Timestamp {
    let saved = STORY.0 - STORY.0 / i64::from(speed.max(1));
    (now - Span::from_micros(saved)).floor(MINUTE, Timestamp(0))
}

struct Teller<'a> {
    out: &'a mut dyn Write,
    serving: String,
}

impl Teller<'_> {
    fn tell(&mut self, news: News) {
        match news {
            News::Beat { at, beat } => {
                let text = beat.text(&self.serving);
                if let super::story::Beat::Live { version } = beat {
                    self.serving = version.to_owned();
                }
                self.line(at, &text);
            }
            News::Asked { id, bytes } => {
                let text = format!("the trainer has {}, {bytes} bytes", short_id(&id));
                self.line(clock::now(), &text);
            }
            _ => {}
        }
    }

    /// With the time that it is about.
    fn line(&mut self, at: Timestamp, text: &str) {
        // Nobody may be reading; the story goes on.
        let _ = writeln!(self.out, "{} {}", time_of_day(at), printed(text))
            .and_then(|()| self.out.flush());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_story_ends_at_now() {
        let now = Timestamp::from_secs(100 * 60);
        assert_eq!(begin(now, 1), now);
        assert_eq!(begin(now, 4), Timestamp::from_secs(85 * 60));
        let took = Span::from_mins(5);
        assert_eq!(begin(now, 4) + Span::from_micros(4 * took.0), now + took);
        assert_eq!(begin(now, 0), now);
    }
}
