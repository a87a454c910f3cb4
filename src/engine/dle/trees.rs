//! What LightGBM's trees say of a row (`src/io/tree.cpp` and `include/LightGBM/tree.h`, 4.5).

/// Values up to this far from 0 are zeros, where zeros mean missing.
const ZERO: f64 = 1e-35;
const CATEGORICAL: u8 = 1;
const DEFAULT_LEFT: u8 = 2;

/// One input of the model, in its order.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    pub name: String,
    /// The texts of a column of pandas categories: a value's code is its position. Other values,
    /// and missing ones, are NaN.
    pub categories: Option<Vec<String>>,
}

/// A model of one output.
#[derive(Clone, Debug, PartialEq)]
pub struct Trees {
    pub(super) inputs: Vec<Input>,
    pub(super) trees: Vec<Tree>,
    /// The output is the exponential of the sum (objectives poisson, gamma, tweedie).
    pub(super) exponential: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tree {
    pub nodes: Vec<Node>,
    pub leaves: Vec<f64>,
    /// Bits of the categories that go left, 32 a word, and where each node's words begin.
    pub words: Vec<u32>,
    pub bounds: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Node {
    pub feature: usize,
    pub threshold: f64,
    pub decision: u8,
    pub left: Child,
    pub right: Child,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Child {
    Node(usize),
    Leaf(usize),
}

impl Trees {
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// The model's output for a row with a value for each input, NaN where it is missing.
    pub fn predict(&self, row: &[f64]) -> f64 {
        assert_eq!(row.len(), self.inputs.len(), "one value an input");
        let sum = self.trees.iter().map(|tree| tree.predict(row)).sum::<f64>();
        if self.exponential { sum.exp() } else { sum }
    }
}

impl Input {
    /// The code of a text: what LightGBM was trained with.
    pub fn code(&self, text: Option<&str>) -> f64 {
        let categories = self.categories.as_deref().unwrap_or_default();
        let at = text.and_then(|text| categories.iter().position(|known| known == text));
        at.map_or(f64::NAN, |at| at as f64)
    }
}

impl Tree {
    fn predict(&self, row: &[f64]) -> f64 {
        let mut child = if self.nodes.is_empty() { Child::Leaf(0) } else { Child::Node(0) };
        loop {
            match child {
                Child::Leaf(leaf) => return self.leaves[leaf],
                Child::Node(at) => {
                    let node = &self.nodes[at];
                    let left = match node.decision & CATEGORICAL {
                        0 => node.is_left(row[node.feature]),
                        _ => self.is_category_left(node, row[node.feature]),
                    };
                    child = if left { node.left } else { node.right };
                }
            }
        }
    }

    fn is_category_left(&self, node: &Node, value: f64) -> bool {
        // Whole categories only; NaN and negative ones go right.
        if value.is_nan() || value <= -1.0 {
            return false;
        }
        let category = value as usize;
        let at = node.threshold as usize;
        let words = &self.words[self.bounds[at]..self.bounds[at + 1]];
        words.get(category / 32).is_some_and(|word| word >> (category % 32) & 1 == 1)
    }
}

impl Node {
    fn is_left(&self, value: f64) -> bool {
        // Bits 2 and 3: which values are missing ones: 0 none, 1 zeros, 2 NaN.
        let missing = self.decision >> 2 & 3;
        let value = if value.is_nan() && missing != 2 { 0.0 } else { value };
        let is_missing = match missing {
            1 => value.abs() <= ZERO,
            2 => value.is_nan(),
            _ => false,
        };
        if is_missing { self.decision & DEFAULT_LEFT != 0 } else { value <= self.threshold }
    }
}
