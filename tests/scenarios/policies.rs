//! Policies in the settings of a scenario.

use super::words::Words;
use tidemark::engine::alarm::budget;
use tidemark::engine::alarm::watch::DriftTerms;
use tidemark::engine::spec::*;
use tidemark::engine::time::Span;

pub fn policy(words: &mut Words<'_>) -> Result<PolicySpec, String> {
    let name = words.need("name")?.into();
    let what = words.need("metric or `drift`")?;
    let mut condition = match what {
        "drift" if words.eat("budget") => {
            let terms =
                DriftTerms { material: 0.01, share_margin: 0.01, alpha: 0.0, features_min: 1 };
            let episodes_a_week = words.number("episodes")?;
            Condition::DriftAlarm(DriftAlarm { features: Vec::new(), terms, episodes_a_week })
        }
        "drift" => {
            let statistic = words.need("statistic")?.parse()?;
            words.expect("above")?;
            Condition::Drift {
                features: Vec::new(),
                statistic,
                above: words.number("bound")?,
                features_min: 1,
                min_predictions: 1,
            }
        }
        metric if words.eat("margin") => {
            let margin = words.number("margin")?;
            words.expect("budget")?;
            Condition::PerformanceAlarm(PerformanceAlarm {
                metric: metric.parse()?,
                margin,
                label_age: Span::ZERO,
                episodes_a_week: words.number("episodes")?,
                alpha: 0.0,
                run_length: 0.0,
            })
        }
        metric => Condition::Performance {
            metric: metric.parse()?,
            bound: bound(words)?,
            compare: Compare::Value,
            label_age: Span::ZERO,
            min_labels: 1,
        },
    };
    words.expect("window")?;
    let window = words.span("window")?;
    match &mut condition {
        Condition::DriftAlarm(alarm) => {
            alarm.terms.alpha = budget::alpha(alarm.episodes_a_week, window, 4);
        }
        Condition::PerformanceAlarm(alarm) => {
            alarm.alpha = budget::alpha(alarm.episodes_a_week, window, 1);
            alarm.run_length = budget::run_length(alarm.episodes_a_week, window, 1);
        }
        _ => {}
    }
    let (mut for_windows, mut action) = (1, Action::Alert);
    while let Some(word) = words.next() {
        match (word, &mut condition, &mut action) {
            ("for", ..) => for_windows = words.number(word)?,
            (
                "age",
                Condition::Performance { label_age, .. }
                | Condition::PerformanceAlarm(PerformanceAlarm { label_age, .. }),
                _,
            ) => *label_age = words.span(word)?,
            ("min_labels", Condition::Performance { min_labels, .. }, _) => {
                *min_labels = words.number(word)?;
            }
            ("sure", Condition::Performance { compare, .. }, _) => *compare = Compare::Sure,
            ("min_predictions", Condition::Drift { min_predictions, .. }, _) => {
                *min_predictions = words.number(word)?;
            }
            ("retrain", ..) => {
                action = Action::Retrain {
                    webhook: "trainer".into(),
                    cooldown: Span::ZERO,
                    act_within: Span::from_hours(4),
                };
            }
            ("cooldown", _, Action::Retrain { cooldown, .. }) => *cooldown = words.span(word)?,
            ("act_within", _, Action::Retrain { act_within, .. }) => {
                *act_within = words.span(word)?;
            }
            _ => return Err(format!("`{word}` is not understood here")),
        }
    }
    Ok(PolicySpec { name, condition, window, for_windows, action })
}

fn bound(words: &mut Words<'_>) -> Result<Bound, String> {
    let side = words.need("`below` or `above`")?;
    let word = words.need("bound")?;
    let number = |text: &str| text.parse::<f64>().map_err(|_| format!("`{text}` is not a number"));
    let level = if let Some(margin) = word.strip_prefix("baseline-") {
        Level::BaselineMinus(number(margin)?)
    } else if let Some(margin) = word.strip_prefix("baseline+") {
        Level::BaselinePlus(number(margin)?)
    } else {
        Level::Value(number(word)?)
    };
    match side {
        "below" => Ok(Bound::Below(level)),
        "above" => Ok(Bound::Above(level)),
        other => Err(format!("`{other}` instead of `below` or `above`")),
    }
}
