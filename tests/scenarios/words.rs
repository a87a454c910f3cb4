//! Words of a line, taken from the front.

use std::str::FromStr;
use tidemark::engine::time::{Span, Timestamp};

pub struct Words<'a> {
    rest: std::iter::Peekable<std::str::SplitWhitespace<'a>>,
}

impl<'a> Words<'a> {
    pub fn new(line: &'a str) -> Self {
        Self { rest: line.split_whitespace().peekable() }
    }

    pub fn next(&mut self) -> Option<&'a str> {
        self.rest.next()
    }

    pub fn need(&mut self, what: &str) -> Result<&'a str, String> {
        self.next().ok_or_else(|| format!("{what} is missing"))
    }

    pub fn peek(&mut self) -> Option<&'a str> {
        self.rest.peek().copied()
    }

    /// Takes the next word if it is this one.
    pub fn eat(&mut self, word: &str) -> bool {
        self.rest.next_if(|next| *next == word).is_some()
    }

    pub fn expect(&mut self, word: &str) -> Result<(), String> {
        let found = self.need(&format!("`{word}`"))?;
        if found == word { Ok(()) } else { Err(format!("`{found}` instead of `{word}`")) }
    }

    pub fn number<T: FromStr>(&mut self, what: &str) -> Result<T, String> {
        let word = self.need(what)?;
        word.parse().map_err(|_| format!("{what}: `{word}` is not a number"))
    }

    pub fn span(&mut self, what: &str) -> Result<Span, String> {
        let word = self.need(what)?;
        match word.strip_prefix('-') {
            Some(word) => word.parse::<Span>().map(|span| -span),
            None => word.parse(),
        }
    }

    pub fn time(&mut self, what: &str) -> Result<Timestamp, String> {
        self.span(what).map(|span| Timestamp(span.0))
    }

    pub fn end(&mut self) -> Result<(), String> {
        self.next().map_or(Ok(()), |word| Err(format!("`{word}` is not understood here")))
    }
}
