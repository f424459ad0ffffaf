//! Cleans text that strangers wrote, such as a provider's log, before it is stored or shown.
//!
//! Invariant: what comes out cannot act on a terminal, reorder itself, or hold anything that a reader does not see. A text
//! that is cleaned twice is the same as one that is cleaned once.

/// Removes from one line of foreign text what could act on a terminal, hide text or mislead a reader, and cuts it to `max_chars`.
///
/// Whole escape sequences go, then every other control character but the tab, and the invisible ones. Of a line that
/// rewrites itself with carriage returns, as progress bars do, the last writing stays. A line that was cut ends in `…`.
#[must_use]
pub fn clean_line(text: &str, max_chars: usize) -> String {
    cut(cleaned(text), max_chars)
}

/// Cleans a log of foreign text: its last `max_lines` lines, each cleaned and cut to `max_chars`. Empty lines at its end do not count.
#[must_use]
pub fn clean_log(text: &str, max_lines: usize, max_chars: usize) -> Vec<String> {
    let mut lines: Vec<String> = text
        .lines()
        .rev()
        .map(|line| clean_line(line, max_chars))
        .skip_while(|line| line.trim().is_empty())
        .take(max_lines)
        .collect();
    lines.reverse();
    lines
}

/// Makes one clean line of a foreign text of any number of lines: each run of white space becomes one space.
#[must_use]
pub fn one_line(text: &str, max_chars: usize) -> String {
    let lines = text.split(is_line_end).map(cleaned);
    let words: Vec<String> =
        lines.flat_map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect();
    cut(words.join(" "), max_chars)
}

/// Tells whether a character is invisible, or changes how its neighbours are shown: text that holds it may not be what it seems.
///
/// These are the marks that set the direction of text (the "trojan source" characters), those without width, separators
/// of lines and paragraphs, selectors of variants and tags, in both of which whole messages can be hidden.
#[must_use]
pub fn is_misleading(c: char) -> bool {
    matches!(
        c,
        '\u{00AD}'
            | '\u{061C}'
            | '\u{180E}'
            | '\u{200B}'..='\u{200F}'
            | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{FE00}'..='\u{FE0F}'
            | '\u{FEFF}'
            | '\u{FFF9}'..='\u{FFFB}'
            | '\u{E0000}'..='\u{E0FFF}'
    )
}

/// The same JSON, in which whatever acts on a terminal or misleads a reader stands as an escape: names of refs and directories, which
/// have to stay what they are, can hold such characters.
#[must_use]
pub fn plain_json(json: &str) -> String {
    let mut plain = String::with_capacity(json.len());
    for c in json.chars() {
        if (c.is_control() && c != '\n') || is_misleading(c) {
            plain.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            plain.push(c);
        }
    }
    plain
}

/// A text as it goes out at last: without control characters, but for the ends of lines, tabs and the beginning of this program's own
/// styles, and without what misleads. Foreign text in it was cleaned before; this is for the names among it.
#[must_use]
pub fn showable(text: &str) -> String {
    let is_own = |c: char| matches!(c, '\n' | '\r' | '\t' | ESC);
    text.chars().filter(|c| is_own(*c) || !(c.is_control() || is_misleading(*c))).collect()
}

/// Tells whether a character ends a line in some program that may show the text.
fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\u{000B}' | '\u{000C}' | '\u{0085}' | '\u{2028}' | '\u{2029}')
}

/// One line without escape sequences, overwritten text and characters that are not for reading.
fn cleaned(line: &str) -> String {
    let mut plain = without_sequences(line);
    plain.retain(|c| matches!(c, '\t' | '\r') || !(c.is_control() || is_misleading(c)));
    plain.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default().to_owned()
}

/// Cuts a text that is too long, and marks the cut.
fn cut(text: String, max_chars: usize) -> String {
    if text.chars().nth(max_chars).is_none() {
        return text;
    }
    match max_chars.checked_sub(1) {
        None => String::new(),
        Some(kept) => text.chars().take(kept).chain(['…']).collect(),
    }
}

const ESC: char = '\u{1b}';

/// Removes escape sequences by the grammar of ECMA-48, with their parameters; what is not a whole sequence loses its introducer only.
fn without_sequences(line: &str) -> String {
    let mut kept = String::with_capacity(line.len());
    // Once no terminator follows, none follows later either: without this memory, many introducers would cost quadratic time.
    let mut strings_can_end = true;
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        // The 8-bit controls U+0080 to U+009F are the same as ESC and the character 0x40 below.
        let (kind, after) = match (c, after.chars().next()) {
            (ESC, Some(next @ ' '..='~')) => (next, &after[1..]),
            ('\u{80}'..='\u{9f}', _) => (char::from_u32(u32::from(c) - 0x40).unwrap_or('\0'), after),
            // Also an ESC that introduces nothing: it goes with the other control characters.
            _ => {
                kept.push(c);
                rest = after;
                continue;
            }
        };
        rest = match kind {
            '[' => after_control_sequence(after),
            'P' | 'X' | ']' | '^' | '_' if strings_can_end => after_string(after).unwrap_or_else(|| {
                strings_can_end = false;
                after
            }),
            // Such as the choice of a character set: intermediates, then one final character.
            ' '..='/' => skip_one(after.trim_start_matches(|c| matches!(c, ' '..='/')), '0'..='~'),
            _ => after,
        };
    }
    kept
}

/// What follows a control sequence whose introducer is already read: parameters, intermediates, one final character.
fn after_control_sequence(text: &str) -> &str {
    let text = text.trim_start_matches(|c| matches!(c, '0'..='?')).trim_start_matches(|c| matches!(c, ' '..='/'));
    skip_one(text, '@'..='~')
}

/// What follows a control string (a window title, a hyperlink, a device command) whose introducer is already read, when it has an end.
fn after_string(text: &str) -> Option<&str> {
    let mut characters = text.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        match c {
            '\u{7}' | '\u{9c}' => return Some(&text[at + c.len_utf8()..]),
            ESC if characters.peek().is_some_and(|(_, next)| *next == '\\') => return Some(&text[at + 2..]),
            _ => {}
        }
    }
    None
}

/// Skips the first character when it is in the range.
fn skip_one(text: &str, range: std::ops::RangeInclusive<char>) -> &str {
    text.strip_prefix(|c| range.contains(&c)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn clean(text: &str) -> String {
        clean_line(text, 1_000)
    }

    #[test]
    fn json_keeps_its_meaning_and_shows_what_hides_in_it() {
        let names = ["refs/heads/x\u{202e}y", "\u{7f}\u{9b}2J", "tag \u{e0041}", "plain \u{e9}\n"];
        for json in [serde_json::to_string(&names).unwrap(), serde_json::to_string_pretty(&names).unwrap()] {
            let plain = plain_json(&json);
            assert!(!plain.chars().any(|c| (c.is_control() && c != '\n') || is_misleading(c)), "{plain}");
            assert_eq!(serde_json::from_str::<Vec<String>>(&plain).unwrap(), names);
        }
    }

    #[test]
    fn what_is_shown_keeps_lines_and_styles() {
        assert_eq!(showable("\u{1b}[1mx\u{202e}\u{9b}\u{7}\u{7f}\u{1b}[0m\ty\n"), "\u{1b}[1mx\u{1b}[0m\ty\n");
    }

    #[test]
    fn colours_titles_links_and_device_commands_leave_no_trace() {
        for dirty in [
            "\u{1b}[1;31mbad\u{1b}[0m",
            "\u{9b}31mbad\u{9b}m",
            "\u{1b}[?25lbad\u{1b}[38:2::1:2:3m",
            "\u{1b}]0;title\u{7}bad",
            "\u{1b}]8;;https://evil.example\u{1b}\\bad\u{1b}]8;;\u{1b}\\",
            "\u{9d}52;c;ZXZpbA==\u{9c}bad",
            "\u{1b}P+q544e\u{1b}\\bad",
            "\u{90}q#0\u{9c}bad",
            "\u{1b}_apc\u{1b}\\b\u{1b}^pm\u{1b}\\a\u{1b}Xsos\u{1b}\\d",
            "\u{1b}(Bbad\u{1b}7\u{1b}8\u{1b}=\u{1b}c",
            "\u{1b}[1 qbad\u{1b}[!p",
            "b\u{7}a\u{8}d\u{7f}\u{0}",
        ] {
            assert_eq!(clean(dirty), "bad", "{dirty:?}");
        }
    }

    #[test]
    fn what_is_not_a_whole_sequence_hides_no_text() {
        // A right quotation mark that was read as Latin-1 looks like the beginning of a control string.
        assert_eq!(clean("\u{1b}]0;never ended"), "0;never ended");
        assert_eq!(clean("â\u{80}\u{9d}quoted\u{1b}[0m text"), "âquoted text");
        assert_eq!(clean("a\u{1b}"), "a");
        assert_eq!(clean("a\u{1b}é"), "aé");
        assert_eq!(clean("a\u{1b}[31"), "a");
        assert_eq!(clean("a\u{1b}[31éb"), "aéb");
        assert_eq!(clean("a\u{1b}\u{1b}[31mb"), "ab");
    }

    #[test]
    fn the_last_writing_of_a_progress_bar_stays() {
        assert_eq!(clean("10 %\r50 %\r100 %"), "100 %");
        assert_eq!(clean("100 %\r"), "100 %");
        assert_eq!(clean("100 %\r\r\n"), "100 %");
        assert_eq!(clean("old\r\u{1b}[Knew"), "new");
        assert_eq!(clean("100 %\r\u{7}\u{200b}"), "100 %");
        assert_eq!(clean("a\tb"), "a\tb");
    }

    #[test]
    fn text_cannot_reorder_or_hide_itself() {
        assert_eq!(clean("user\u{202e}nimda\u{202c}"), "usernimda");
        assert_eq!(clean("\u{2066}a\u{2069}\u{200e}\u{200f}\u{61c}b"), "ab");
        assert_eq!(clean("a\u{200b}\u{200d}\u{2060}\u{feff}b"), "ab");
        assert_eq!(clean("a\u{2028}b\u{2029}c"), "abc");
        assert_eq!(clean("a\u{e0001}\u{e0041}\u{e007f}\u{e0100}b"), "ab");
        assert_eq!(clean("größe 数据 ✔"), "größe 数据 ✔");
    }

    #[test]
    fn a_cut_is_marked_and_within_the_bound() {
        assert_eq!(clean_line("abcdef", 6), "abcdef");
        assert_eq!(clean_line("abcdefg", 6), "abcde…");
        assert_eq!(clean_line("ééééééé", 6), "ééééé…");
        assert_eq!(clean_line("ab", 1), "…");
        assert_eq!(clean_line("ab", 0), "");
        assert_eq!(clean_line("\u{1b}[31mabcdef\u{1b}[0m", 6), "abcdef");
    }

    #[test]
    fn a_log_keeps_its_last_lines() {
        let log = "one\r\n\u{1b}[31mtwo\u{1b}[0m\n\nfour is long\n\u{1b}[0m\n \n";
        assert_eq!(clean_log(log, 3, 6), ["two", "", "four …"]);
        assert_eq!(clean_log(log, 100, 100), ["one", "two", "", "four is long"]);
        assert!(clean_log(log, 0, 6).is_empty());
        assert!(clean_log("", 5, 5).is_empty());
    }

    #[test]
    fn one_line_joins_lines_with_spaces() {
        assert_eq!(one_line("  error:\r\n\tno such\u{1b}[0m file\n\n", 100), "error: no such file");
        assert_eq!(one_line("10%\r20%\nend\u{2028}more\u{b}x", 100), "20% end more x");
        assert_eq!(one_line("a b c d e", 5), "a b …");
    }

    #[test]
    fn a_hostile_line_costs_linear_time() {
        let started = std::time::Instant::now();
        for unit in ["\u{1b}]", "\u{9d}", "\u{1b}[", "\u{1b}P\u{1b}", "\r", "\u{1b}(", "\u{1b}[1;"] {
            assert!(clean_line(&unit.repeat(500_000), 100).chars().count() <= 100);
        }
        // Quadratic time would be hours.
        assert!(started.elapsed().as_secs() < 60);
    }

    /// Text made mostly of what an attacker would use.
    fn hostile() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("\u{1b}".to_owned()),
            Just("\u{1b}[".to_owned()),
            Just("\u{1b}]".to_owned()),
            Just("\u{1b}\\".to_owned()),
            Just("\r".to_owned()),
            Just("\n".to_owned()),
            Just("…".to_owned()),
            "[\u{0}-\u{9f}]",
            "[\u{200b}-\u{206f}]",
            "[\u{e0000}-\u{e01ff}]",
            any::<char>().prop_map(String::from),
            "[ -~]{1,6}",
        ];
        proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    fn is_clean(text: &str) -> bool {
        text.chars().all(|c| c == '\t' || !(c.is_control() || is_misleading(c)))
    }

    proptest! {
        #[test]
        fn clean_lines_are_clean_bounded_and_stay_as_they_are(text in hostile(), max in 0usize..60) {
            let once = clean_line(&text, max);
            prop_assert!(is_clean(&once), "{once:?}");
            prop_assert!(once.chars().count() <= max);
            prop_assert_eq!(clean_line(&once, max), once);
        }

        #[test]
        fn clean_logs_are_clean_bounded_and_stay_as_they_are(text in hostile(), lines in 0usize..5, max in 0usize..20) {
            let once = clean_log(&text, lines, max);
            prop_assert!(once.len() <= lines);
            prop_assert!(once.iter().all(|line| is_clean(line) && line.chars().count() <= max));
            prop_assert_eq!(clean_log(&once.join("\n"), lines, max), once);
        }

        #[test]
        fn one_line_is_clean_bounded_and_stays_as_it_is(text in hostile(), max in 0usize..60) {
            let once = one_line(&text, max);
            prop_assert!(is_clean(&once) && !once.contains('\t'), "{once:?}");
            prop_assert!(once.chars().count() <= max);
            prop_assert_eq!(one_line(&once, max), once);
        }

        #[test]
        fn plain_text_is_not_changed(text in "[ -~à-ÿ一-丯]{0,60}") {
            prop_assert_eq!(clean_line(&text, 60), text);
        }
    }
}
