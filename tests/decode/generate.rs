//! Payloads from a seed: mostly what a producer would send, sometimes anything.

use std::fmt::Write;

/// SplitMix64 (Steele, Lea, Flood, 2014): the same seed gives the same payloads everywhere.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.below(list.len())]
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// What a place of a payload normally holds.
#[derive(Clone)]
pub enum Template {
    Object(Vec<(&'static str, Template)>),
    Array(Vec<Template>),
    /// Any number of these.
    Rows(Box<Template>),
    Id,
    Seconds,
    Rfc3339,
    Probability,
    Number,
    OneOf(&'static [&'static str]),
}

/// Writes payloads; `chaos` is how seldom something is not as it should be.
pub struct Writer<'r> {
    pub random: &'r mut Random,
    pub chaos: usize,
    pub text: String,
}

const STRINGS: [&str; 16] = [
    "",
    "a",
    "1",
    "1.0",
    "true",
    "null",
    "NaN",
    "größe",
    "日本",
    "😀",
    "a\"b",
    "back\\slash",
    "\u{0}\u{1f}",
    "2026-01-31T09:30:00Z",
    "1700000000",
    "0123456789abcdef0123456789abcdef",
];
const NUMBERS: [&str; 28] = [
    "1e18446744073709551617",
    "1e-18446744073709551615",
    "0",
    "-0",
    "1",
    "-1",
    "0.5",
    "1.0",
    "1e0",
    "10E-1",
    "1e400",
    "-1e400",
    "1e-400",
    "1e308",
    "1.7976931348623159e308",
    "4.9e-324",
    "2.2250738585072011e-308",
    "9007199254740993",
    "9007199254740993.0",
    "18446744073709551616",
    "-9223372036854775809",
    "0.1e1",
    "123.0",
    "1.23e2",
    "0e99999999999999999999",
    "1e-99999999999999999999",
    "0.30000000000000004",
    "8.5e+3",
];
const OTHERS: [&str; 8] = ["true", "false", "null", "NaN", "Infinity", "-Infinity", "[]", "{}"];

impl Writer<'_> {
    fn odd(&mut self) -> bool {
        let chaos = self.chaos;
        self.random.one_in(chaos)
    }

    fn space(&mut self) {
        if self.odd() {
            let space = self.random.pick(&[" ", "\n", "\t", "\r\n", "    "]);
            self.text.push_str(space);
        }
    }

    pub fn template(&mut self, template: &Template) {
        self.space();
        if self.odd() {
            self.anything(0);
        } else {
            match template {
                Template::Object(members) => self.object(members),
                Template::Array(elements) => self.array(elements),
                Template::Rows(row) => {
                    let count = self.random.below(4);
                    self.array(&vec![(**row).clone(); count]);
                }
                leaf => self.leaf(leaf),
            }
        }
        self.space();
    }

    fn object(&mut self, members: &[(&'static str, Template)]) {
        let mut order: Vec<usize> = (0..members.len()).collect();
        if self.odd() {
            for i in (1..order.len()).rev() {
                order.swap(i, self.random.below(i + 1));
            }
        }
        order.retain(|_| !self.odd());
        if self.odd() {
            // A name twice.
            order.push(self.random.below(members.len()));
        }
        self.text.push('{');
        let mut first = true;
        for i in order {
            if self.odd() {
                self.comma(&mut first);
                let name = self.random.pick(&STRINGS);
                self.string(name);
                self.text.push(':');
                self.anything(0);
            }
            self.comma(&mut first);
            let (name, template) = &members[i];
            self.space();
            self.string(name);
            self.space();
            self.text.push(':');
            self.template(template);
        }
        self.text.push('}');
    }

    fn array(&mut self, elements: &[Template]) {
        self.text.push('[');
        let mut first = true;
        for element in elements {
            self.comma(&mut first);
            self.template(element);
        }
        if self.odd() {
            self.comma(&mut first);
            self.anything(0);
        }
        self.text.push(']');
    }

    fn comma(&mut self, first: &mut bool) {
        if !std::mem::take(first) {
            self.text.push(',');
        }
    }

    fn leaf(&mut self, leaf: &Template) {
        let random = &mut *self.random;
        let number = match leaf {
            Template::Id => match random.below(3) {
                0 => {
                    let id = format!("id-{}", random.below(1000));
                    return self.string(&id);
                }
                1 => format!("{}", random.below(100_000)),
                _ => format!("{:.1}", random.below(1000) as f64),
            },
            Template::Seconds => match random.below(4) {
                0 => format!("{}", 1_700_000_000 + random.below(1_000_000)),
                1 => format!("{:.3}", 1.7e9 + random.unit() * 1e6),
                2 => format!("{:.5}", 1.7e9 + random.unit() * 1e6),
                _ => format!("{:e}", 1_700_000_000 + random.below(1000)),
            },
            Template::Rfc3339 => {
                let (day, second, micros) =
                    (random.below(31) + 1, random.below(61), random.below(1_000_000));
                let offset = random.pick(&["Z", "+01:00", "-0330", "z", "+14", ""]);
                let time = format!("2024-02-{day:02}T23:59:{second:02}.{micros:06}{offset}");
                return self.string(&time);
            }
            Template::Probability => match random.below(3) {
                0 => format!("{}", random.unit()),
                1 => format!("{:.3}", random.unit()),
                _ => format!("{:e}", random.unit()),
            },
            Template::Number => match random.below(4) {
                0 => format!("{}", random.below(1000)),
                1 => format!("{}", (random.unit() - 0.5) * 1e6),
                2 => format!("{:?}", f64::from_bits(random.next() & !(0x7FF << 52) | 0x3FF << 52)),
                _ => format!("{:.20}", random.unit() * 1e3),
            },
            Template::OneOf(list) => {
                let text = random.pick(list);
                return self.string(text);
            }
            Template::Object(_) | Template::Array(_) | Template::Rows(_) => return,
        };
        self.text.push_str(&number);
    }

    /// A string; now and then with escapes that nobody needs.
    fn string(&mut self, content: &str) {
        let escape_all = self.odd();
        self.text.push('"');
        for c in content.chars() {
            match c {
                '"' | '\\' => self.text.extend(['\\', c]),
                '\n' => self.text.push_str("\\n"),
                c if (c as u32) < 0x20 || escape_all => {
                    let mut units = [0; 2];
                    for unit in c.encode_utf16(&mut units) {
                        write!(self.text, "\\u{unit:04x}").unwrap();
                    }
                }
                c => self.text.push(c),
            }
        }
        self.text.push('"');
    }

    pub fn anything(&mut self, depth: usize) {
        match self.random.below(if depth < 6 { 12 } else { 9 }) {
            0..=2 => {
                let text = self.random.pick(&STRINGS);
                self.string(text);
            }
            3..=5 => {
                let number = self.random.pick(&NUMBERS);
                self.text.push_str(number);
            }
            6 | 7 => {
                let other = self.random.pick(&OTHERS);
                self.text.push_str(other);
            }
            8 => self.long_number(),
            9 => {
                // Near the deepest nesting that is allowed.
                let deep = if self.random.one_in(8) { 120 + self.random.below(12) } else { 3 };
                self.text.push_str(&"[".repeat(deep));
                self.text.push_str(&"]".repeat(deep));
            }
            10 => {
                self.text.push('[');
                for i in 0..self.random.below(4) {
                    self.text.push_str(if i > 0 { "," } else { "" });
                    self.anything(depth + 1);
                }
                self.text.push(']');
            }
            _ => {
                self.text.push('{');
                for i in 0..self.random.below(4) {
                    self.text.push_str(if i > 0 { " ,\n" } else { "" });
                    let name = self.random.pick(&STRINGS);
                    self.string(name);
                    self.text.push_str(": ");
                    self.anything(depth + 1);
                }
                self.text.push('}');
            }
        }
    }

    fn long_number(&mut self) {
        let digits = 1 + self.random.below(450);
        let point = self.random.below(digits * 2);
        for i in 0..digits {
            let digit = if i == 0 { 1 + self.random.below(9) } else { self.random.below(10) };
            write!(self.text, "{digit}").unwrap();
            if i == point && i + 1 < digits {
                self.text.push('.');
            }
        }
        if self.random.one_in(3) {
            let exponent = self.random.below(800) as i64 - 400;
            write!(self.text, "e{exponent}").unwrap();
        }
    }
}

/// Bytes that break JSON in interesting ways.
const SPLINTERS: [&[u8]; 30] = [
    b"\xef\xbb\xbf",
    b"\xff",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xe2\x82",
    b"\"\\ud800\"",
    b"\"\\udc00\\ud800\"",
    b"\"\\ud83d\\u0041\"",
    b"\\u12",
    b"\"\\x\"",
    b"\x00",
    b"\t",
    b"\x1f",
    b"\x7f",
    b"01",
    b"1.",
    b".5",
    b"+1",
    b"-",
    b"1e",
    b"1e+",
    b"--1",
    b",,",
    b"//",
    b"'",
    b"nul",
    b"]",
    b"}",
    b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
];

/// Breaks a payload, or at least changes it.
pub fn mutate(random: &mut Random, payload: &mut Vec<u8>) {
    for _ in 0..=random.below(3) {
        let at = random.below(payload.len() + 1);
        match random.below(7) {
            0 if at < payload.len() => payload[at] = random.next() as u8,
            1 if at < payload.len() => payload[at] ^= 1 << random.below(8),
            2 => payload.insert(at, b"{}[]\",:0 \\e-.N"[random.below(14)]),
            3 => payload.truncate(at),
            4 => {
                let end = (at + random.below(12)).min(payload.len());
                payload.drain(at..end);
            }
            5 => {
                let end = (at + random.below(40)).min(payload.len());
                let copy = payload[at..end].to_vec();
                let to = random.below(payload.len() + 1);
                payload.splice(to..to, copy);
            }
            _ => {
                let splinter = random.pick(&SPLINTERS);
                payload.splice(at..at, splinter.iter().copied());
            }
        }
    }
}
