//! Versions at the beginning of file names.

/// The digits with which a name begins, and what follows them; `None` without digits.
pub(super) fn leading_digits(name: &str) -> Option<(&str, &str)> {
    let end = name.find(|c: char| !c.is_ascii_digit()).unwrap_or(name.len());
    (end > 0).then(|| name.split_at(end))
}

/// Digits without the zeros before them, as a tool that takes them for a number stores them.
pub(super) fn plain(digits: &str) -> &str {
    let rest = digits.trim().trim_start_matches('0');
    if rest.is_empty() && !digits.trim().is_empty() { "0" } else { rest }
}

/// A text by which versions of one tool are ordered: numbers by their value, everything else as text.
pub(super) fn order_of(version: &str) -> String {
    let mut order = String::new();
    let mut rest = version;
    while !rest.is_empty() {
        match leading_digits(rest) {
            Some((digits, after)) => {
                order.push_str(&format!("{:0>24}", plain(digits)));
                rest = after;
            }
            None => {
                let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
                order.push_str(&rest[..end]);
                rest = &rest[end..];
            }
        }
    }
    order
}
