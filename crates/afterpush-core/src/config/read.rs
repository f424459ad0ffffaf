//! Reads the two files and puts the user's over the repository's.

use std::collections::BTreeMap;

use super::{
    Config, ConfigError, ProviderSettings, before_push::BeforePushLayer, document::Document, provider, push::PushLayer,
    target::TargetLayer, waiting::PolicyLayer,
};

/// More targets than any project has; each costs a monitor calls.
const MOST_TARGETS: usize = 100;
/// More sentences than a person reads; a stranger's file must not fill the status with them.
const MOST_LEFT_OUT: usize = 50;

/// One configuration file.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The file's name for people: a path, or `.afterpush.toml in 1234567`.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// Combines the repository's and the user's file; without either the configuration is empty and has no target.
///
/// The user's file wins key by key; its targets are matched with the repository's by name, and others are added. The
/// privileged keys of a repository's file that is not trusted are checked like all others, and then left out with a sentence.
///
/// # Errors
/// [`ConfigError`] for the first thing that is wrong, in the order of the file; the repository's file comes first.
pub fn combine(
    repository: Option<Source<'_>>,
    repository_is_trusted: bool,
    user: Option<Source<'_>>,
) -> Result<Config, ConfigError> {
    let author = if repository_is_trusted { Author::TrustedRepository } else { Author::UntrustedRepository };
    let repository = repository.map(|source| Layer::read(source, author)).transpose()?.unwrap_or_default();
    let user = user.map(|source| Layer::read(source, Author::User)).transpose()?.unwrap_or_default();
    repository.overlaid_by(user).finish()
}

/// Who wrote a file, as far as it decides what the file may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Author {
    User,
    TrustedRepository,
    UntrustedRepository,
}

/// The reading of one file: who wrote it, and what of it is left out.
pub(super) struct Reading<'a> {
    pub(super) author: Author,
    pub(super) file: &'a str,
    left_out: Vec<String>,
}

impl Reading<'_> {
    /// Notes that something of the file is not used.
    pub(super) fn leave_out(&mut self, sentence: String) {
        self.left_out.push(sentence);
    }

    /// Notes that a privileged key of a target is not used.
    pub(super) fn leave_out_untrusted(&mut self, target: &str, key: &str) {
        self.left_out.push(self.untrusted(target, key));
    }

    /// The sentence for a privileged key of a target that is not used.
    pub(super) fn untrusted(&self, target: &str, key: &str) -> String {
        let file = self.file;
        format!(
            "target {target:?}: {key} in {file} is not used because this repository is not trusted; run afterpush trust"
        )
    }
}

/// What one file says.
#[derive(Default)]
struct Layer {
    targets: Vec<TargetLayer>,
    policy: PolicyLayer,
    push: PushLayer,
    before_push: BeforePushLayer,
    providers: BTreeMap<String, ProviderSettings>,
    left_out: Vec<String>,
}

impl Layer {
    fn read(source: Source<'_>, author: Author) -> Result<Self, ConfigError> {
        let document = Document::parse(source)?;
        let mut reading = Reading { author, file: source.name, left_out: Vec::new() };
        let mut layer = Self::default();
        let root = document.root();
        for entry in root.entries() {
            match entry.key {
                "target" => {
                    let expected = "tables that begin with [[target]], in two pairs of brackets";
                    let items = entry.items(expected)?;
                    if items.len() > MOST_TARGETS {
                        return Err(
                            entry.error(format_args!("has {} tables", items.len()), format!("at most {MOST_TARGETS}"))
                        );
                    }
                    for item in items {
                        let target = TargetLayer::read(&item.section("[[target]]")?, &mut reading)?;
                        if layer.targets.iter().any(|other| other.name == target.name) {
                            let problem = format!("a second target has the name {:?}", target.name);
                            return Err(item.place().error(problem, "a name of its own for each target"));
                        }
                        layer.targets.push(target);
                    }
                }
                "policy" => layer.policy = PolicyLayer::read(&entry.section("[policy]")?, &mut reading)?,
                "push" => layer.push = PushLayer::read(&entry.section("[push]")?, &mut reading)?,
                "provider" => layer.providers = provider::read_settings(&entry, &mut reading)?,
                "before_push" => {
                    layer.before_push = BeforePushLayer::read(&entry.section("[before_push]")?, &mut reading)?;
                }
                _ => return Err(root.unknown_key(&entry, &["target", "policy", "before_push", "push", "provider"])),
            }
        }
        layer.left_out = reading.left_out;
        Ok(layer)
    }

    fn overlaid_by(mut self, upper: Self) -> Self {
        for target in upper.targets {
            match self.targets.iter().position(|lower| lower.name == target.name) {
                Some(index) => {
                    let lower = self.targets.remove(index);
                    self.targets.insert(index, lower.overlaid_by(target));
                }
                None => self.targets.push(target),
            }
        }
        self.left_out.extend(upper.left_out);
        Self {
            targets: self.targets,
            policy: self.policy.overlaid_by(upper.policy),
            push: self.push.overlaid_by(upper.push),
            before_push: self.before_push.overlaid_by(upper.before_push),
            // The repository's file has none.
            providers: upper.providers,
            left_out: self.left_out,
        }
    }

    fn finish(mut self) -> Result<Config, ConfigError> {
        let mut targets = Vec::with_capacity(self.targets.len());
        for target in self.targets {
            targets.push(target.finish(&mut self.left_out)?);
        }
        let more = self.left_out.len().saturating_sub(MOST_LEFT_OUT);
        if more > 0 {
            self.left_out.truncate(MOST_LEFT_OUT);
            self.left_out.push(format!("{more} more keys are not used for the same reasons"));
        }
        let monitors = self.policy.monitors();
        Ok(Config {
            targets,
            policy: self.policy.finish(),
            push: self.push.finish(),
            monitors,
            before_push: self.before_push.finish(),
            providers: self.providers,
            left_out: self.left_out,
        })
    }
}
