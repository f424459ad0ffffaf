//! Settles on the one application that was meant, or tells the person what to set.

use afterpush_core::{
    fault::{Fault, FaultKind},
    text::one_line,
};

/// More names than these are not listed.
const MOST_NAMES: usize = 8;

/// How a vendor calls its applications, and the setting that names one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Choice {
    /// The vendor's word for several of them, such as "projects".
    pub(crate) things: &'static str,
    /// The setting, such as `provider.project`.
    pub(crate) key: &'static str,
}

impl Choice {
    /// The only one of those that fit.
    ///
    /// # Errors
    /// [`FaultKind::NotFound`] when there is none, or several: their names are listed, as the setting takes them.
    pub(crate) fn only<T>(self, mut found: Vec<T>, name: impl Fn(&T) -> &str) -> Result<T, Fault> {
        let Self { things, key } = self;
        if found.len() > 1 {
            let names = found.iter().take(MOST_NAMES).map(|it| format!("{:?}", one_line(name(it), 64)));
            let mut names = names.collect::<Vec<_>>().join(", ");
            if found.len() > MOST_NAMES {
                names.push_str(", ...");
            }
            let text =
                format!("{} {things} are built from this repository: {names}; set {key} to one of them", found.len());
            return Err(Fault::new(FaultKind::NotFound, text));
        }
        let none = || format!("none of the {things} that the token sees is built from this repository; set {key}");
        found.pop().ok_or_else(|| Fault::new(FaultKind::NotFound, none()))
    }

    /// That the push tells nothing that could be looked for.
    pub(crate) fn cannot_be_told(self) -> Fault {
        let text = format!("the remote's address does not tell which of the {} it is; set {}", self.things, self.key);
        Fault::new(FaultKind::NotFound, text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const CHOICE: Choice = Choice { things: "projects", key: "provider.project" };

    #[test]
    fn only_one_settles_it() {
        assert_eq!(CHOICE.only(vec!["web"], |it| it).unwrap(), "web");
        let none = CHOICE.only(Vec::<&str>::new(), |it| it).unwrap_err();
        assert_eq!(none.kind, FaultKind::NotFound);
        assert!(none.message.ends_with("is built from this repository; set provider.project"), "{none}");
        let several = CHOICE.only(vec!["web", "api\u{1b}[2J"], |it| it).unwrap_err();
        assert!(several.message.contains("2 projects") && several.message.contains(r#""web", "api""#), "{several}");
        let many = CHOICE.only(vec!["web"; 9], |it| it).unwrap_err();
        assert!(many.message.contains(r#""web", ...; set provider.project"#), "{many}");
    }
}
