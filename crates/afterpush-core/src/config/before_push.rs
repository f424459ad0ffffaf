//! `[before_push]`: courtesies before a push goes out. Only the user's own file can make one refuse a push: a repository that was
//! cloned must not decide what its reader may push.

use super::{
    ConfigError, RefPattern,
    document::{Entry, Section},
    read::{Author, Reading},
};

const KEYS: [&str; 5] = ["behind", "branch_name", "branch_names", "protected", "previous"];
const MOST_PATTERNS: usize = 50;

/// What a courtesy does when there is something to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// Nothing; it is not even looked.
    Off,
    /// One line; the push goes on.
    Warn,
    /// One line, and the push does not go out.
    Refuse,
}

/// The courtesies before a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BeforePush {
    /// The branch lacks commits of its upstream, as far as is known without asking the remote. Default: warn.
    pub behind: Reaction,
    /// The branch's name fits none of `branch_names`. Default: warn.
    pub branch_name: Reaction,
    /// What branches are to be called; patterns over names without `refs/heads/`. Empty: anything.
    pub branch_names: Vec<RefPattern>,
    /// Branches whose names are right in any case. Default: `main` and `master`.
    pub protected: Vec<RefPattern>,
    /// The previous push of the branch failed, or is still being deployed. Default: warn. A failed one never refuses: it is
    /// mended by the next push.
    pub previous: Reaction,
}

impl Default for BeforePush {
    fn default() -> Self {
        BeforePushLayer::default().finish()
    }
}

/// The courtesies, as far as one file says.
#[derive(Debug, Clone, Default)]
pub(super) struct BeforePushLayer {
    behind: Option<Reaction>,
    branch_name: Option<Reaction>,
    branch_names: Option<Vec<RefPattern>>,
    protected: Option<Vec<RefPattern>>,
    previous: Option<Reaction>,
}

impl BeforePushLayer {
    pub(super) fn read(section: &Section<'_>, reading: &mut Reading<'_>) -> Result<Self, ConfigError> {
        let mut layer = Self::default();
        for entry in section.entries() {
            match entry.key {
                "behind" => layer.behind = Some(reaction(&entry, reading)?),
                "branch_name" => layer.branch_name = Some(reaction(&entry, reading)?),
                "branch_names" => layer.branch_names = Some(patterns(&entry)?),
                "protected" => layer.protected = Some(patterns(&entry)?),
                "previous" => layer.previous = Some(reaction(&entry, reading)?),
                _ => return Err(section.unknown_key(&entry, &KEYS)),
            }
        }
        Ok(layer)
    }

    /// Puts the user's layer over this one, key by key.
    pub(super) fn overlaid_by(self, upper: Self) -> Self {
        Self {
            behind: upper.behind.or(self.behind),
            branch_name: upper.branch_name.or(self.branch_name),
            branch_names: upper.branch_names.or(self.branch_names),
            protected: upper.protected.or(self.protected),
            previous: upper.previous.or(self.previous),
        }
    }

    pub(super) fn finish(self) -> BeforePush {
        let default = || ["main", "master"].map(RefPattern::new).to_vec();
        BeforePush {
            behind: self.behind.unwrap_or(Reaction::Warn),
            branch_name: self.branch_name.unwrap_or(Reaction::Warn),
            branch_names: self.branch_names.unwrap_or_default(),
            protected: self.protected.unwrap_or_else(default),
            previous: self.previous.unwrap_or(Reaction::Warn),
        }
    }
}

fn reaction(entry: &Entry<'_>, reading: &mut Reading<'_>) -> Result<Reaction, ConfigError> {
    const EXPECTED: &str = "\"warn\", \"refuse\" or \"off\"";
    match entry.text(EXPECTED)? {
        "off" => Ok(Reaction::Off),
        "warn" => Ok(Reaction::Warn),
        "refuse" if reading.author == Author::User => Ok(Reaction::Refuse),
        "refuse" => {
            let (key, file) = (entry.key, reading.file);
            reading.leave_out(format!(
                "[before_push] {key} = \"refuse\" in {file} only warns: only your own file refuses a push"
            ));
            Ok(Reaction::Warn)
        }
        _ => Err(entry.wrong_value(EXPECTED)),
    }
}

fn patterns(entry: &Entry<'_>) -> Result<Vec<RefPattern>, ConfigError> {
    const EXPECTED: &str = "a list of branch names, in which * stands for any text";
    let items = entry.items(EXPECTED)?;
    if items.len() > MOST_PATTERNS {
        return Err(entry.error(format_args!("has {} names", items.len()), format!("at most {MOST_PATTERNS}")));
    }
    items.iter().map(|item| Ok(RefPattern::new(item.text(EXPECTED)?))).collect()
}
