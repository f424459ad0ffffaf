//! A query of the user's own, in the place of the deployments table.
//!
//! Invariant: exactly one SELECT, in which the commit stands as bound parameters only; never as text.

const PLACEHOLDER: &str = "$commit";

pub(super) const EXPECTED: &str = "one SELECT such as \"SELECT status, error, sha AS commit FROM releases WHERE sha = $commit ORDER BY id DESC LIMIT 1\"";

/// One SELECT with `$commit` in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseQuery {
    /// What stands between the placeholders.
    pieces: Vec<String>,
}

impl DatabaseQuery {
    /// Reads a query. What no plain SELECT needs is refused, not understood: comments, several statements, backslashes in
    /// texts, `INTO` and locking.
    ///
    /// # Errors
    /// What is wrong, for a message that names the key before it.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim().trim_end_matches(';').trim_end();
        let mut pieces = Vec::new();
        let mut piece = String::new();
        let mut words = Vec::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let length = match c {
                '\'' | '"' | '`' => quoted(rest).ok_or("has a quote without an end, or a backslash in quotes")?,
                '$' if rest.starts_with(PLACEHOLDER) && !rest[PLACEHOLDER.len()..].starts_with(is_word) => {
                    pieces.push(std::mem::take(&mut piece));
                    rest = &rest[PLACEHOLDER.len()..];
                    continue;
                }
                '$' => return Err("has a $ that is not $commit"),
                '?' => return Err("has a question mark outside of quotes"),
                ';' => return Err("has more than one statement"),
                '-' if rest.starts_with("--") => return Err("has a comment"),
                '/' if rest.starts_with("/*") => return Err("has a comment"),
                '#' => return Err("has a comment"),
                c if is_word(c) => {
                    let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                    words.push(rest[..length].to_ascii_lowercase());
                    length
                }
                c => c.len_utf8(),
            };
            piece.push_str(&rest[..length]);
            rest = &rest[length..];
        }
        pieces.push(piece);
        if !matches!(words.first().map(String::as_str), Some("select" | "with")) {
            return Err("is no SELECT");
        }
        if words.iter().any(|word| ["into", "insert", "update", "delete", "share", "lock"].contains(&word.as_str())) {
            return Err("does more than to read");
        }
        if pieces.len() == 1 {
            return Err("does not say $commit");
        }
        Ok(Self { pieces })
    }

    /// The statement, with the placeholder of each number, from 1, in the place of each `$commit`.
    #[must_use]
    pub fn sql(&self, placeholder: impl Fn(usize) -> String) -> String {
        let mut sql = String::new();
        for (number, piece) in self.pieces.iter().enumerate() {
            if number > 0 {
                sql.push_str(&placeholder(number));
            }
            sql.push_str(piece);
        }
        sql
    }

    /// How often the commit has to be bound.
    #[must_use]
    pub fn binds(&self) -> usize {
        self.pieces.len() - 1
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// How long the quoted text is that this begins with. A doubled quote ends one and begins the next, which comes to the same.
fn quoted(text: &str) -> Option<usize> {
    let quote = text.chars().next()?;
    let inside = &text[1..];
    let end = inside.find(quote)?;
    (!inside[..end].contains('\\')).then_some(end + 2)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_commit_is_bound_wherever_it_stands() {
        let query = DatabaseQuery::parse(
            " SELECT 'it''s $commit; --' AS \"error\", a FROM t WHERE b = $commit OR left(b, 7) = left($commit,7); ",
        )
        .unwrap();
        assert_eq!(query.binds(), 2);
        assert_eq!(
            query.sql(|number| format!("?{number}")),
            "SELECT 'it''s $commit; --' AS \"error\", a FROM t WHERE b = ?1 OR left(b, 7) = left(?2,7)"
        );
        assert!(DatabaseQuery::parse("with x as (select $commit as c) select * from x").is_ok());
        assert!(DatabaseQuery::parse("SELECT updated, 'delete' FROM t WHERE c=$commit").is_ok());
        assert!(DatabaseQuery::parse("SELECT a - 1, b / 2 FROM t WHERE c = $commit").is_ok());
    }

    #[test]
    fn what_is_more_than_one_select_is_refused() {
        for (text, why) in [
            ("", "is no SELECT"),
            ("UPDATE t SET a = $commit", "is no SELECT"),
            ("SELECT 1", "does not say $commit"),
            ("SELECT '$commit'", "does not say $commit"),
            ("SELECT $commits", "has a $ that is not $commit"),
            ("SELECT $1, $commit", "has a $ that is not $commit"),
            ("SELECT $$x$$, $commit", "has a $ that is not $commit"),
            ("SELECT ?, $commit", "has a question mark outside of quotes"),
            ("SELECT $commit; DELETE FROM t", "has more than one statement"),
            ("SELECT $commit -- x", "has a comment"),
            ("SELECT $commit /* x */", "has a comment"),
            ("SELECT $commit # x", "has a comment"),
            ("SELECT $commit INTO OUTFILE 'x'", "does more than to read"),
            ("SELECT $commit FOR UPDATE", "does more than to read"),
            ("WITH x AS (DELETE FROM t RETURNING *) SELECT $commit", "does more than to read"),
            ("SELECT 'a\\' , $commit", "has a quote without an end, or a backslash in quotes"),
            ("SELECT 'a, $commit", "has a quote without an end, or a backslash in quotes"),
        ] {
            assert_eq!(DatabaseQuery::parse(text).unwrap_err(), why, "{text}");
        }
    }
}
