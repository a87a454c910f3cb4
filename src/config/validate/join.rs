//! Checks of times and of the join with labels.

use super::super::defaults::defaults;
use super::super::fault::quoted;
use super::super::plan::Start;
use super::super::tree::key_path;
use super::super::value::Text;
use super::super::written::{AbsentConfig, ModelConfig};
use super::Check;
use crate::engine::event::LabelValue;
use crate::engine::spec::{AbsentLabel, JoinSpec, Task, TimeSpec};
use crate::engine::time::{Span, Timestamp};
use jiff::tz::{Offset, TimeZone};

pub fn time(check: &mut Check<'_>, path: &str, model: &ModelConfig) -> TimeSpec {
    let path = key_path(path, "time");
    let section = model.time.clone().unwrap_or_default();
    let default = defaults().model.time.clone().unwrap_or_default();
    let mut span = |name: &str, written, default| check.bounded(&path, name, written, default);
    let out_of_orderness =
        span("out_of_orderness", section.out_of_orderness, default.out_of_orderness);
    let allowed_lateness =
        span("allowed_lateness", section.allowed_lateness, default.allowed_lateness);
    let idle_after = span("idle_after", section.idle_after, default.idle_after);
    let future_tolerance =
        span("future_tolerance", section.future_tolerance, default.future_tolerance);
    let zone = section.zone.or(default.zone);
    let origin = zone.map_or(Ok(Timestamp(0)), |Text(zone)| origin(&zone));
    let origin = origin.unwrap_or_else(|message| {
        check.fault(key_path(&path, "zone"), message);
        Timestamp(0)
    });
    TimeSpec { out_of_orderness, allowed_lateness, idle_after, future_tolerance, origin }
}

/// A midnight of the zone's standard time near the epoch.
///
/// Days of a zone with summer time have 23 or 25 hours twice a year; windows of one size must not.
/// So the offset is the lesser of January's and July's in 2026, all year and for all years.
fn origin(zone: &str) -> Result<Timestamp, String> {
    let offset = match fixed_offset(zone) {
        Some(offset) => offset,
        None => {
            let found = TimeZone::get(zone).map_err(|_| {
                format!(
                    "there is no time zone {}; write UTC, a name such as Europe/Paris, or +05:30",
                    quoted(zone)
                )
            })?;
            let at = |month: i8| {
                let noon = jiff::civil::date(2026, month, 1).at(12, 0, 0, 0);
                let instant = found.to_timestamp(noon).map_err(|error| error.to_string())?;
                Ok::<Offset, String>(found.to_offset(instant))
            };
            at(1)?.min(at(7)?)
        }
    };
    Ok(Timestamp::from_secs(-i64::from(offset.seconds())))
}

/// `+05:30` or `-03:00`.
fn fixed_offset(text: &str) -> Option<Offset> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let number = |text: &str, max: i32| -> Option<i32> {
        let number = if text.len() == 2 { text.parse().ok()? } else { return None };
        (0..=max).contains(&number).then_some(number)
    };
    Offset::from_seconds(sign * (number(hours, 14)? * 3_600 + number(minutes, 59)? * 60)).ok()
}

pub fn join(
    check: &mut Check<'_>,
    path: &str,
    model: &ModelConfig,
    task: Option<&Task>,
    time: &TimeSpec,
    start: Start,
) -> JoinSpec {
    let path = key_path(path, "labels");
    let section = model.labels.clone().unwrap_or_default();
    let default = defaults().model.labels.clone().unwrap_or_default();
    let horizon = check.bounded(&path, "horizon", section.horizon, default.horizon);
    let lead = check.bounded(&path, "lead", section.lead, default.lead);
    let grace = check.bounded(&path, "grace", section.grace, default.grace);
    let longest: Span = horizon + grace;
    let least = (time.out_of_orderness + time.allowed_lateness).min(longest);
    let corrections_for = match section.corrections_for.map(Span::from) {
        None => least,
        Some(span) if (least..=longest).contains(&span) => span,
        Some(_) => {
            let message = format!(
                "must be from {least} (out_of_orderness + allowed_lateness) to {longest} (horizon \
                 + grace)"
            );
            check.fault(key_path(&path, "corrections_for"), message);
            least
        }
    };
    let silent_after = section.silent_after.map(Span::from);
    if let Some(span) = silent_after {
        check.within(&key_path(&path, "silent_after"), span);
    }
    let absent_after = section
        .absent_after
        .as_ref()
        .and_then(|absent| absent_label(check, &path, absent, task, horizon));
    let pending_max = check.bounded(&path, "pending_max", section.pending_max, default.pending_max);
    let start = match start {
        Start::At(time) => Some(time),
        Start::Earliest | Start::Latest => None,
    };
    JoinSpec {
        horizon,
        lead,
        grace,
        corrections_for,
        silent_after,
        absent_after,
        pending_max,
        start,
    }
}

fn absent_label(
    check: &mut Check<'_>,
    path: &str,
    section: &AbsentConfig,
    task: Option<&Task>,
    horizon: Span,
) -> Option<AbsentLabel> {
    let path = key_path(path, "absent_after");
    let delay = check.required(&path, "delay", section.delay).map(Span::from);
    let value = check.required(&path, "value", section.value.as_ref());
    if delay.is_some_and(|delay| delay < Span::from_secs(1) || delay > horizon) {
        let message = format!("must be from 1s to the horizon, {horizon}");
        check.fault(key_path(&path, "delay"), message);
    }
    let (value, task) = (value?, task?);
    match label_value(&value.0, task) {
        Ok(value) => Some(AbsentLabel { delay: delay?, value }),
        Err(message) => {
            check.fault(key_path(&path, "value"), message);
            None
        }
    }
}

/// A label as the configuration writes it.
fn label_value(text: &str, task: &Task) -> Result<LabelValue, String> {
    match task {
        Task::Binary { positive_class, negative_class, .. } => {
            if text == positive_class {
                Ok(LabelValue::Class(1))
            } else if negative_class.as_ref().is_none_or(|negative| negative == text) {
                Ok(LabelValue::Class(0))
            } else {
                Err(format!("{} is neither the positive nor the negative class", quoted(text)))
            }
        }
        Task::Multiclass { classes, .. } => classes
            .iter()
            .position(|class| class == text)
            .and_then(|position| u16::try_from(position).ok())
            .map(LabelValue::Class)
            .ok_or_else(|| format!("{} is not one of the classes", quoted(text))),
        Task::Regression { .. } => text
            .parse::<f64>()
            .ok()
            .filter(|number| number.is_finite())
            .map(LabelValue::Number)
            .ok_or_else(|| format!("{} is not a number", quoted(text))),
    }
}
