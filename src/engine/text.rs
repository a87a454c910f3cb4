//! Texts that came from data: shortened, and without characters that could disturb where they go.

/// The text without control characters and with at most `chars_max` characters; a shortened one
/// ends in an ellipsis. Bidirectional overrides go too, since they make a terminal or a page lie.
pub fn clip(text: &str, chars_max: usize) -> String {
    let mut kept = text.chars().filter(|c| !is_hidden(*c));
    let mut out: String = kept.by_ref().take(chars_max).collect();
    if kept.next().is_some() {
        out.pop();
        out.push('…');
    }
    out
}

/// Whether a character can change how the text around it is shown, or is none to show.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}')
        || matches!(c, '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::clip;

    #[test]
    fn a_clipped_text_has_no_control_characters_and_a_bounded_length() {
        assert_eq!(clip("a\nb\u{202e}c\0", 10), "abc");
        assert_eq!(clip("abcdef", 4), "abc…");
        assert_eq!(clip("abcd", 4), "abcd");
        assert_eq!(clip("é\u{7f}", 1), "é");
        assert_eq!(clip("", 3), "");
        assert_eq!(clip("ab", 0), "…");
    }
}
