//! The few things that are read out of Python files: assignments of plain texts. What is computed at run time is not seen.

/// The text after `name =` or `name: type =` at the beginning of a line, up to the end of the file.
pub(super) fn assigned<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let start = offset;
        offset += line.len();
        let trimmed = line.trim_start();
        let Some(rest) = trimmed.strip_prefix(name) else { continue };
        let rest = rest.trim_start();
        let after = match rest.strip_prefix(':') {
            Some(annotation) => annotation.split_once('=').map(|(_, value)| value),
            None => rest.strip_prefix('=').filter(|value| !value.starts_with('=')),
        };
        if let Some(value) = after {
            let at = start + line.len() - value.len();
            return Some(&text[at..]);
        }
    }
    None
}

/// The quoted texts of an expression: of one literal, or of a bracketed list or tuple of them up to its closing bracket.
pub(super) fn strings(expression: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut depth = 0_u32;
    let mut rest = expression.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    break;
                }
            }
            '#' => while rest.next_if(|c| *c != '\n').is_some() {},
            '\n' if depth == 0 => break,
            '"' | '\'' => {
                let mut text = String::new();
                while let Some(inner) = rest.next() {
                    match inner {
                        '\\' => text.extend(rest.next()),
                        inner if inner == c => break,
                        inner => text.push(inner),
                    }
                }
                found.push(text);
                if depth == 0 {
                    break;
                }
            }
            _ => {}
        }
    }
    found
}
