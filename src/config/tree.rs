//! The configuration file as a tree whose every node knows its line.
//!
//! The parser's events become a tree here (and not structs at once) so that variables are put into
//! scalars that are already parsed, so that a path can be mapped to its line when a check fails
//! much later, and so that reading can go on after a fault. Bytes, nodes and depth are bounded.

use super::fault::{Fault, Mark, quoted};
use serde_saphyr::granit_parser::{self, Event, Parser, ScalarStyle, ScanError, Span, Tag};
use std::collections::{BTreeMap, BTreeSet};

/// A longer file is refused.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// More nodes, aliases expanded, are refused.
pub const NODES_MAX: usize = 50_000;
/// More text in scalars, aliases expanded, is refused.
pub const TEXT_BYTES_MAX: usize = 4 << 20;
/// Deeper nesting is refused.
pub const DEPTH_MAX: usize = 32;

#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub mark: Mark,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Null,
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Scalar {
    pub text: String,
    /// The text as it stands in the file, if a variable's value was put into it: a message repeats
    /// this one, as the value may be a secret.
    pub written: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub key: String,
    pub mark: Mark,
    pub value: Node,
}

impl Kind {
    /// What it is, for a message.
    pub fn describe(&self) -> &'static str {
        match self {
            Self::Null => "empty",
            Self::Scalar(_) => "a single value",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

impl Node {
    /// How many nodes and bytes of text it stands for.
    fn cost(&self) -> (usize, usize) {
        let add =
            |left: (usize, usize), right: (usize, usize)| (left.0 + right.0, left.1 + right.1);
        match &self.kind {
            Kind::Null => (1, 0),
            Kind::Scalar(scalar) => (1, scalar.text.len()),
            Kind::List(items) => items.iter().map(Self::cost).fold((1, 0), add),
            Kind::Map(entries) => entries
                .iter()
                .map(|entry| add((0, entry.key.len()), entry.value.cost()))
                .fold((1, 0), add),
        }
    }

    /// How many levels of nesting it stands for.
    fn depth(&self) -> usize {
        match &self.kind {
            Kind::Null | Kind::Scalar(_) => 1,
            Kind::List(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Kind::Map(entries) => {
                1 + entries.iter().map(|entry| entry.value.depth()).max().unwrap_or(0)
            }
        }
    }

    /// Calls `visit` for this node and every one below, parents first.
    pub fn visit_mut(&mut self, path: &str, visit: &mut dyn FnMut(&mut Node, &str)) {
        visit(self, path);
        match &mut self.kind {
            Kind::Null | Kind::Scalar(_) => {}
            Kind::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    item.visit_mut(&item_path(path, index), visit);
                }
            }
            Kind::Map(entries) => {
                for entry in entries {
                    entry.value.visit_mut(&key_path(path, &entry.key), visit);
                }
            }
        }
    }

    /// The message without a value that came from a variable: it may be a secret. What the file
    /// says stands in its place.
    pub fn hide_value(&self, message: String) -> String {
        match &self.kind {
            Kind::Scalar(Scalar { text, written: Some(written) }) if !text.is_empty() => {
                message.replace(&quoted(text), &quoted(written)).replace(text, written)
            }
            _ => message,
        }
    }

    /// The node at `path`, or else the nearest one above it.
    pub fn locate(&self, path: &str) -> &Self {
        let below = |child: &str| -> bool {
            path.strip_prefix(child)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        let mut here = self;
        let mut at = String::new();
        loop {
            let next = match &here.kind {
                Kind::Null | Kind::Scalar(_) => None,
                Kind::List(items) => items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| (item_path(&at, index), item))
                    .find(|(child, _)| below(child)),
                Kind::Map(entries) => entries
                    .iter()
                    .map(|entry| (key_path(&at, &entry.key), &entry.value))
                    .find(|(child, _)| below(child)),
            };
            match next {
                Some((child, node)) => (at, here) = (child, node),
                None => return here,
            }
        }
    }
}

/// `models[0].name`, or `properties["sasl.password"]` for a key that is not a plain word.
pub fn key_path(path: &str, key: &str) -> String {
    let plain = !key.is_empty()
        && key.len() <= 64
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    match (path.is_empty(), plain) {
        (true, true) => key.to_owned(),
        (false, true) => format!("{path}.{key}"),
        (_, false) => {
            let shown: String = key.chars().take(64).flat_map(char::escape_debug).collect();
            format!("{path}[\"{shown}\"]")
        }
    }
}

pub fn item_path(path: &str, index: usize) -> String {
    format!("{path}[{index}]")
}

/// Parses the bytes of a file.
///
/// # Errors
/// The first fault after which the rest cannot be read; other faults (duplicate keys, tags, empty
/// items) are added to `faults`.
pub fn parse(bytes: &[u8], faults: &mut Vec<Fault>) -> Result<Node, Fault> {
    if bytes.len() > FILE_BYTES_MAX {
        let message = format!("the file is larger than {FILE_BYTES_MAX} bytes; make it smaller");
        return Err(fault(Mark::START, message));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        let column = 1 + before.iter().rev().take_while(|&&byte| byte != b'\n').count();
        fault(Mark { line, column }, "this byte is not UTF-8; save the file as UTF-8".to_owned())
    })?;
    let mut options = granit_parser::Options::default();
    options.set_emit_comments(false);
    options.disallow_directives = true;
    options.flow_nesting_limit = DEPTH_MAX;
    options.block_nesting_limit = DEPTH_MAX;
    let parser = Parser::new_from_str_with_options(text, options);
    Builder { events: parser, anchors: BTreeMap::new(), nodes: 0, text_bytes: 0, faults }.document()
}

fn fault(mark: Mark, message: String) -> Fault {
    Fault { mark: Some(mark), path: String::new(), message }
}

fn mark_of(span: &Span) -> Mark {
    Mark { line: span.start.line(), column: span.start.col() + 1 }
}

struct Builder<'a, I> {
    events: I,
    /// Complete anchored nodes by the parser's id.
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
    text_bytes: usize,
    faults: &'a mut Vec<Fault>,
}

impl<'text, I> Builder<'_, I>
where
    I: Iterator<Item = Result<(Event<'text>, Span), ScanError>>,
{
    fn next(&mut self) -> Result<(Event<'text>, Mark), Fault> {
        match self.events.next() {
            Some(Ok((event, span))) => Ok((event, mark_of(&span))),
            Some(Err(error)) => {
                let at = error.marker();
                let mark = Mark { line: at.line().max(1), column: at.col() + 1 };
                Err(fault(mark, format!("not valid YAML: {}", quoted_info(&error.info()))))
            }
            None => Ok((Event::StreamEnd, Mark::START)),
        }
    }

    fn document(mut self) -> Result<Node, Fault> {
        let mut root = None;
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentEnd, _) => {}
                (Event::DocumentStart(..), mark) if root.is_some() => {
                    let message = "a second document starts here; a configuration has only one";
                    return Err(fault(mark, message.to_owned()));
                }
                (Event::DocumentStart(..), _) => {}
                (Event::StreamEnd, _) => break,
                (event, mark) => root = Some(self.node(event, mark, 0)?),
            }
        }
        match root {
            None | Some(Node { kind: Kind::Null, .. }) => {
                let message = "the file is empty; `tidemark schema` and config/default.yaml show \
                               what belongs in it";
                Err(fault(Mark::START, message.to_owned()))
            }
            Some(root) => Ok(root),
        }
    }

    fn spend(&mut self, nodes: usize, text_bytes: usize, mark: Mark) -> Result<(), Fault> {
        self.nodes += nodes;
        self.text_bytes += text_bytes;
        if self.nodes > NODES_MAX || self.text_bytes > TEXT_BYTES_MAX {
            let message = format!(
                "the file stands for more than {NODES_MAX} values or {TEXT_BYTES_MAX} bytes of \
                 text here, with its aliases expanded; write less or use fewer aliases"
            );
            return Err(fault(mark, message));
        }
        Ok(())
    }

    fn node(&mut self, event: Event<'text>, mark: Mark, depth: usize) -> Result<Node, Fault> {
        if depth >= DEPTH_MAX {
            let message = format!("nested deeper than {DEPTH_MAX} levels");
            return Err(fault(mark, message));
        }
        let (kind, anchor) = match event {
            Event::Alias(id) => return self.alias(id, mark, depth),
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), mark);
                self.spend(1, text.len(), mark)?;
                (scalar(&text, style), anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), mark);
                self.spend(1, 0, mark)?;
                (Kind::List(self.items(depth)?), anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), mark);
                self.spend(1, 0, mark)?;
                (Kind::Map(self.entries(depth)?), anchor)
            }
            _ => return Err(fault(mark, "not valid YAML: a value is expected here".to_owned())),
        };
        let node = Node { mark, kind };
        if anchor != 0 {
            // A copy of what was written, bounded by the file's size.
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn alias(&mut self, id: usize, mark: Mark, depth: usize) -> Result<Node, Fault> {
        let Some(target) = self.anchors.get(&id) else {
            return Err(fault(mark, "this alias stands inside what it refers to".to_owned()));
        };
        let (nodes, text_bytes) = target.cost();
        if depth + target.depth() > DEPTH_MAX {
            let message = format!("nested deeper than {DEPTH_MAX} levels by this alias");
            return Err(fault(mark, message));
        }
        self.spend(nodes, text_bytes, mark)?;
        let kind = self.anchors[&id].kind.clone();
        Ok(Node { mark, kind })
    }

    fn items(&mut self, depth: usize) -> Result<Vec<Node>, Fault> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, mark) => {
                    let item = self.node(event, mark, depth + 1)?;
                    if item.kind == Kind::Null {
                        let message = "this item of the list is empty; remove it or write one";
                        self.faults.push(fault(mark, message.to_owned()));
                    }
                    items.push(item);
                }
            }
        }
    }

    fn entries(&mut self, depth: usize) -> Result<Vec<Entry>, Fault> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged: Vec<Node> = Vec::new();
        let mut seen = BTreeSet::new();
        loop {
            let (event, mark) = match self.next()? {
                (Event::MappingEnd, _) => break,
                next => next,
            };
            let key = match self.node(event, mark, depth + 1)?.kind {
                Kind::Scalar(Scalar { text, .. }) => text,
                other => {
                    let message =
                        format!("a name must be a text, but this is {}", other.describe());
                    return Err(fault(mark, message));
                }
            };
            let (event, value_mark) = self.next()?;
            let mut value = self.node(event, value_mark, depth + 1)?;
            if !matches!(value.kind, Kind::Scalar(_)) {
                // A section is where its name is, not where its first line is.
                value.mark = mark;
            }
            if key == "<<" {
                merged.push(value);
            } else if seen.insert(key.clone()) {
                entries.push(Entry { key, mark, value });
            } else {
                let message = format!("{} is here for the second time; keep one", quoted(&key));
                self.faults.push(fault(mark, message));
            }
        }
        for value in merged {
            self.merge(value, &mut entries, &mut seen);
        }
        Ok(entries)
    }

    /// `<<: *defaults`: adds what the mapping does not have itself.
    fn merge(&mut self, value: Node, entries: &mut Vec<Entry>, seen: &mut BTreeSet<String>) {
        match value.kind {
            Kind::Map(more) => {
                for entry in more {
                    if seen.insert(entry.key.clone()) {
                        entries.push(entry);
                    }
                }
            }
            Kind::List(items) if items.iter().all(|item| matches!(item.kind, Kind::Map(_))) => {
                for item in items {
                    self.merge(item, entries, seen);
                }
            }
            other => {
                let message = format!("`<<` takes a mapping, but this is {}", other.describe());
                self.faults.push(fault(value.mark, message));
            }
        }
    }

    fn refuse_tag(&mut self, tag: Option<&Tag>, mark: Mark) {
        if let Some(tag) = tag {
            let message = format!("tags such as {} are not supported", quoted(&tag.to_string()));
            self.faults.push(fault(mark, message));
        }
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Kind {
    let null = matches!(text, "" | "~" | "null" | "Null" | "NULL");
    if null && matches!(style, ScalarStyle::Plain) {
        return Kind::Null;
    }
    Kind::Scalar(Scalar { text: text.to_owned(), written: None })
}

/// The parser's message as one line in our style.
fn quoted_info(info: &str) -> String {
    let line: String = info.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.chars().take(200).collect()
}
