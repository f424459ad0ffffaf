//! Finds the app that a push deploys to: by its id, by its name, or by the repository and branch that its components are
//! built from. Pure.

use afterpush_core::{
    fault::{Fault, FaultKind},
    id::RefName,
    text::one_line,
};

use super::answer::{App, Source};
use crate::remote::Repository;

/// More apps than these are not listed by name in a fault.
const MOST_NAMES: usize = 5;

/// How the app is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    /// By its id: nothing needs to be looked for.
    Id(String),
    /// By its name.
    Name(String),
    /// By what its components are built from.
    Source {
        /// The repository that was pushed to, when its address can be compared with others.
        repository: Option<Repository>,
        /// The pushed branch; nothing for a tag.
        branch: Option<String>,
        /// The one component that counts.
        component: Option<String>,
    },
}

impl Told {
    /// Reads the setting `app`; without it, the push itself tells.
    pub(super) fn new(app: Option<String>, component: Option<String>, remote_url: &str, ref_name: &RefName) -> Self {
        match app {
            Some(app) if is_uuid(&app) => Self::Id(app.to_ascii_lowercase()),
            Some(app) => Self::Name(app),
            None => Self::Source {
                repository: Repository::parse(remote_url),
                branch: ref_name.branch().map(str::to_owned),
                component,
            },
        }
    }

    /// Tells whether this is the app.
    pub(super) fn is(&self, app: &App) -> bool {
        match self {
            Self::Id(id) => app.id.as_str().eq_ignore_ascii_case(id),
            Self::Name(name) => app.spec.name == *name,
            Self::Source { repository: Some(repository), branch: Some(branch), component } => app
                .spec
                .components()
                .filter(|it| component.as_ref().is_none_or(|name| it.name == *name))
                .any(|it| sources(it).any(|(from, of)| from == *repository && of == branch)),
            Self::Source { .. } => false,
        }
    }

    /// Tells whether one match settles it: names are unique in an account, sources are not.
    pub(super) fn first_settles(&self) -> bool {
        !matches!(self, Self::Source { .. })
    }

    /// What is wrong with the push itself, before any app was looked at.
    pub(super) fn cannot_match(&self) -> Option<Fault> {
        let Self::Source { repository, branch, .. } = self else {
            return None;
        };
        let why = match (repository, branch) {
            (Some(_), Some(_)) => return None,
            (None, _) => "the remote's address does not tell the app",
            (_, None) => "a ref that is not a branch does not tell the app",
        };
        Some(Fault::new(FaultKind::NotFound, format!("{why}; set provider.app to its name or id")))
    }

    /// The one app of those that match, or why there is none.
    pub(super) fn one_of(&self, mut found: Vec<App>) -> Result<App, Fault> {
        if found.len() > 1 {
            let names = found.iter().take(MOST_NAMES).map(|app| {
                let name = one_line(&app.spec.name, 40);
                format!("{name:?} ({})", app.id.as_str())
            });
            let mut names = names.collect::<Vec<_>>().join(", ");
            if found.len() > MOST_NAMES {
                names.push_str(", ...");
            }
            return Err(Fault::new(
                FaultKind::NotFound,
                format!("{} apps fit: {names}; set provider.app to one of their ids", found.len()),
            ));
        }
        found.pop().ok_or_else(|| self.none())
    }

    /// That there is no such app.
    pub(super) fn none(&self) -> Fault {
        let message = match self {
            Self::Id(id) => format!("there is no app {id}, or the token may not see it"),
            Self::Name(name) => {
                format!("there is no app named {name:?}, or the token may not see it")
            }
            Self::Source { branch, .. } => format!(
                "no app that the token sees is built from this repository's branch {:?}; set provider.app to its name or id",
                branch.as_deref().unwrap_or_default()
            ),
        };
        Fault::new(FaultKind::NotFound, message)
    }
}

/// What a component is built from: repository and branch.
fn sources(component: &Source) -> impl Iterator<Item = (Repository, &str)> {
    let hosted =
        [("github.com", &component.github), ("gitlab.com", &component.gitlab), ("bitbucket.org", &component.bitbucket)];
    let hosted = hosted.into_iter().filter_map(|(host, source)| {
        let source = source.as_ref()?;
        Some((Repository::new(host, &source.repo)?, source.branch.as_str()))
    });
    let git =
        component.git.as_ref().and_then(|git| Some((Repository::parse(&git.repo_clone_url)?, git.branch.as_str())));
    hosted.chain(git)
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn only_whole_uuids_are_ids() {
        let tell = |app: &str| Told::new(Some(app.to_owned()), None, "", &RefName::parse("refs/heads/main").unwrap());
        let uuid = "4F6C71E2-1e90-4762-9fee-6cc4a0a9f2cf";
        assert_eq!(tell(uuid), Told::Id(uuid.to_ascii_lowercase()));
        for name in ["web-app", &uuid[..35], "4f6c71e2x1e90-4762-9fee-6cc4a0a9f2cf"] {
            assert_eq!(tell(name), Told::Name(name.to_owned()));
        }
    }
}
