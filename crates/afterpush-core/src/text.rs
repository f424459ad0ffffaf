//! Cleaning of text that strangers wrote, before it is stored or shown. (interface first; to be filled)

/// Removes what could act on a terminal, hide text or mislead a reader from one line of foreign text.
#[must_use]
pub fn clean_line(text: &str, max_chars: usize) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(max_chars)
        .collect()
}

/// Cleans a log of foreign text: its last `max_lines` lines, each cleaned and cut to `max_chars`.
#[must_use]
pub fn clean_log(text: &str, max_lines: usize, max_chars: usize) -> Vec<String> {
    let lines: Vec<String> = text
        .lines()
        .map(|line| clean_line(line, max_chars))
        .collect();
    let skip = lines.len().saturating_sub(max_lines);
    lines.into_iter().skip(skip).collect()
}
