//! Finds the commit that a workload's pods are made of. Kubernetes itself knows none: an annotation, a label or the tag of an
//! image tells it. Pure.

use afterpush_core::id::MIN_PREFIX;

use super::answer::{Container, Metadata, Object};

/// Where the commit stands. Without an annotation and a label: the keys that are widely used for it, then the images' tags.
#[derive(Debug, Clone)]
pub(super) struct Naming {
    pub(super) annotation: Option<String>,
    pub(super) label: Option<String>,
    /// The one container whose image counts.
    pub(super) container: Option<String>,
}

/// Keys of annotations and labels that name a version of the source.
const KNOWN: [&str; 2] = ["org.opencontainers.image.revision", "app.kubernetes.io/version"];

impl Naming {
    /// What could name the commit, the most trustworthy first: what stands in the pods' own template; when nothing does,
    /// what stands at the workload.
    pub(super) fn of(&self, workload: &Object) -> Vec<String> {
        let names = self.of_template(workload);
        if names.is_empty() { self.of_metadata(&workload.metadata) } else { names }
    }

    pub(super) fn of_template(&self, workload: &Object) -> Vec<String> {
        let template = &workload.spec.template;
        self.of_both(&template.metadata, &template.spec.containers)
    }

    pub(super) fn of_pod(&self, pod: &Object) -> Vec<String> {
        self.of_both(&pod.metadata, &pod.spec.containers)
    }

    fn of_both(&self, metadata: &Metadata, containers: &[Container]) -> Vec<String> {
        let mut names = self.of_metadata(metadata);
        if self.annotation.is_none() && self.label.is_none() {
            let counts = |it: &&Container| self.container.as_ref().is_none_or(|name| it.name == *name);
            names.extend(containers.iter().filter(counts).filter_map(|it| tag(&it.image)).flat_map(ids));
        }
        names
    }

    fn of_metadata(&self, metadata: &Metadata) -> Vec<String> {
        let (annotations, labels) = (&metadata.annotations, &metadata.labels);
        let values: Vec<Option<&String>> = match (&self.annotation, &self.label) {
            (None, None) if self.container.is_some() => Vec::new(),
            (None, None) => KNOWN.iter().flat_map(|key| [annotations.get(*key), labels.get(*key)]).collect(),
            (annotation, label) => vec![
                annotation.as_ref().and_then(|key| annotations.get(key)),
                label.as_ref().and_then(|key| labels.get(key)),
            ],
        };
        values.into_iter().flatten().flat_map(|value| ids(value)).collect()
    }
}

/// The tag of an image such as `registry:5000/acme/web:main-0123abc@sha256:...`.
fn tag(image: &str) -> Option<&str> {
    let name = image.split('@').next().unwrap_or_default();
    name.rsplit('/').next().unwrap_or_default().split_once(':').map(|(_, tag)| tag)
}

/// The object ids in a text: whole words of at least seven hexadecimal digits, as in `main-0123abc`, `v1.2-3-g0123abc` and
/// `sha-0123abc`.
fn ids(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let is_id = |word: &&str| (MIN_PREFIX..=64).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_hexdigit());
    words
        .filter_map(|word| {
            [word, word.strip_prefix("sha").unwrap_or(word), word.strip_prefix('g').unwrap_or(word)]
                .into_iter()
                .find(is_id)
        })
        .map(str::to_ascii_lowercase)
        .collect()
}

/// Tells whether this is an id and not a date or a number.
pub(super) fn is_distinct(name: &str) -> bool {
    name.bytes().any(|b| b.is_ascii_alphabetic())
}
