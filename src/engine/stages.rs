//! Stages: the cells of a pane that one judgement sees and the one before it does not.

use super::pane::PaneKey;
use super::time::Timestamp;
use super::window::Windows;

#[derive(Clone, Debug, Default)]
pub(super) struct Scratch {
    pub deadlines: Vec<(Timestamp, usize)>,
    pub stages: Vec<usize>,
}

/// For each full stage of a point (one a deadline, and one for what came later) the stage that a
/// pane of this level keeps it in. A level that no longer takes part in a judgement does not tell
/// its stage from the next one's.
pub(super) fn stages(windows: &Windows, level: u8, at: Timestamp) -> Vec<usize> {
    let mut scratch = Scratch::default();
    stages_into(windows, level, at, &mut scratch);
    scratch.stages
}

pub(super) fn stages_into(windows: &Windows, level: u8, at: Timestamp, scratch: &mut Scratch) {
    let Scratch { deadlines, stages } = scratch;
    windows.deadlines_into(at, deadlines);
    stages.clear();
    let mut stage = 0;
    for &(_, judgement) in &*deadlines {
        stages.push(stage);
        let size = windows.judgements[judgement].window;
        stage += usize::from(windows.level_has(usize::from(level), size));
    }
    stages.push(stage);
}

/// The number of stages of a pane that a judgement sees.
pub fn stages_seen(windows: &Windows, key: PaneKey, judgement: usize) -> usize {
    let deadlines = windows.deadlines(key.start);
    let mapped = stages(windows, key.level, key.start);
    deadlines.iter().position(|&(_, index)| index == judgement).map_or(0, |full| mapped[full] + 1)
}
