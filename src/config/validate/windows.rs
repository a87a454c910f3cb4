//! Checks of windows.

use super::super::bounds::{PANES_MAX, WINDOWS_MAX};
use super::super::defaults::defaults;
use super::super::size::pane_size;
use super::super::tree::{item_path, key_path};
use super::super::value::Form;
use super::super::written::{ModelConfig, WindowConfig};
use super::Check;
use crate::engine::spec::{JoinSpec, WindowSpec};
use crate::engine::time::Span;

/// Smallest size first.
pub fn windows(
    check: &mut Check<'_>,
    path: &str,
    model: &ModelConfig,
    join: &JoinSpec,
) -> Vec<WindowSpec> {
    let path = key_path(path, "windows");
    let longest = join.horizon + join.grace;
    let Some(written) = &model.windows else {
        let default = defaults().model.windows.clone().unwrap_or_default();
        let windows = default.iter().filter_map(|(_, window)| {
            let window = long(window);
            let size = Span::from(window.size?);
            // Shorter horizons than the default file's own must not make its windows wrong.
            let keep = window.keep.map_or(longest, |keep| Span::from(keep).min(longest));
            Some(WindowSpec { size, every: window.every.map_or(size, Span::from), keep })
        });
        return windows.collect();
    };
    if written.is_empty() {
        check.fault(path.clone(), "the list is empty; write at least one window, such as 1h");
    }
    check.at_most(&path, written.len(), WINDOWS_MAX, "windows");
    let mut windows: Vec<WindowSpec> = Vec::new();
    for (index, window) in written.iter() {
        let path = item_path(&path, index);
        if let Some(window) = one(check, &path, &long(window), longest) {
            if windows.iter().any(|other| other.size == window.size) {
                let message = format!("there is a window of {} already", window.size);
                check.fault(path, message);
            } else {
                windows.push(window);
            }
        }
    }
    windows.sort_by_key(|window| window.size);
    if let Some(pane) = pane_size(&windows) {
        let stretch = windows.iter().map(|window| window.size + window.keep).max();
        let panes = stretch.map_or(0, |stretch| stretch.0 / pane.0);
        if panes > PANES_MAX {
            let message = format!(
                "the windows share panes of {pane}, and {panes} of them are needed; at most \
                 {PANES_MAX} are allowed: keep windows shorter or choose sizes and `every` with a \
                 greater common divisor"
            );
            check.fault(path, message);
        }
    }
    windows
}

fn long(window: &Form<super::super::value::DurationText, WindowConfig>) -> WindowConfig {
    match window {
        Form::Short(size) => WindowConfig { size: Some(*size), ..WindowConfig::default() },
        Form::Long(window) => window.clone(),
    }
}

fn one(
    check: &mut Check<'_>,
    path: &str,
    window: &WindowConfig,
    longest: Span,
) -> Option<WindowSpec> {
    let size = Span::from(check.required(path, "size", window.size)?);
    // The short form has no `size` below it; the line is the same.
    if !check.within(&key_path(path, "size"), size) {
        return None;
    }
    let every = window.every.map_or(size, Span::from);
    let at = key_path(path, "every");
    if every <= Span::ZERO || every > size {
        check.fault(at, format!("must be more than 0s and at most the size, {size}"));
        return None;
    }
    if size.0 % every.0 != 0 {
        let message = format!("{every} does not divide {size}; choose one that does");
        check.fault(at, message);
        return None;
    }
    let keep = window.keep.map_or(longest, Span::from);
    if keep > longest {
        let message =
            format!("{keep} is longer than {longest}, horizon + grace: no label comes then");
        check.fault(key_path(path, "keep"), message);
    }
    Some(WindowSpec { size, every, keep })
}
