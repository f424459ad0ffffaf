//! Reads an answer by the pointers and words of the configuration. Pure.

use std::cmp::Reverse;

use afterpush_core::{
    fault::{Fault, FaultKind},
    observation::{Deployment, DeploymentState, ProviderObservation, Serving},
    text::one_line,
};
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    Fields, SetupError,
    answer::is_web_address,
    pushed::Pushed,
    settings::{Settings, texts, wrong},
};

/// Where in an answer everything stands, and what the words of the state mean.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    items: Option<String>,
    commit: String,
    state: String,
    id: Option<String>,
    page: Option<String>,
    site: Option<String>,
    reason: Option<String>,
    progress: Option<String>,
    created: Option<String>,
    log: Option<String>,
    /// In lower case.
    words: Vec<(String, DeploymentState)>,
}

/// The keys of `words`.
const STATES: [(&str, DeploymentState); 10] = [
    ("queued", DeploymentState::Queued),
    ("building", DeploymentState::Building),
    ("deploying", DeploymentState::Deploying),
    ("live", DeploymentState::Live),
    ("failed", DeploymentState::Failed),
    ("canceled", DeploymentState::Canceled),
    ("superseded", DeploymentState::Superseded),
    ("replaced", DeploymentState::Replaced),
    ("skipped", DeploymentState::Skipped),
    ("blocked", DeploymentState::Blocked),
];

impl Reading {
    pub(super) fn new(settings: &Settings<'_>) -> Result<Self, SetupError> {
        let pointer = |key: &str| {
            let text = settings.text(key)?;
            match &text {
                Some(text) if !text.starts_with('/') => {
                    Err(wrong(key, "must be a JSON pointer such as \"/commit/id\""))
                }
                _ => Ok(text),
            }
        };
        let needed =
            |key: &str| pointer(key)?.ok_or_else(|| wrong(key, "is needed by http: a JSON pointer into the answer"));
        Ok(Self {
            items: pointer("items")?,
            commit: needed("commit")?,
            state: needed("state")?,
            id: pointer("id")?,
            page: pointer("page")?,
            site: pointer("site")?,
            reason: pointer("reason")?,
            progress: pointer("progress")?,
            created: pointer("created")?,
            log: pointer("log")?,
            words: words(settings)?,
        })
    }

    /// The names of all that is read: the steps of the pointers. A step that counts into a list names nothing, and does no harm.
    pub(super) fn fields(&self) -> Fields {
        let needed = [&self.commit, &self.state];
        let others =
            [&self.items, &self.id, &self.page, &self.site, &self.reason, &self.progress, &self.created, &self.log];
        let pointers = needed.into_iter().chain(others.into_iter().flatten());
        let mut names: Vec<String> = pointers.flat_map(|it| it.split('/').skip(1)).map(unescaped).collect();
        names.sort();
        names.dedup();
        Fields::Configured(names.into())
    }

    /// The deployments that an answer tells.
    pub(super) fn items<'a>(&self, answer: &'a Value) -> Result<Vec<&'a Value>, Fault> {
        let Some(pointer) = &self.items else { return Ok(vec![answer]) };
        match answer.pointer(pointer) {
            Some(Value::Array(items)) => Ok(items.iter().collect()),
            Some(Value::Null) => Ok(Vec::new()),
            _ => Err(Fault::new(FaultKind::Malformed, format!("the answer has no list at {pointer}"))),
        }
    }

    /// What the answer says about the commit, and what it gives as the log.
    pub(super) fn observe(
        &self,
        answer: &Value,
        pushed: &Pushed,
    ) -> Result<(ProviderObservation, Option<String>), Fault> {
        let mut items = self.items(answer)?;
        if !items.is_empty() && items.iter().all(|item| text_at(item, &self.commit).is_none()) {
            let text = format!("the answer names no commit at {}", self.commit);
            return Err(Fault::new(FaultKind::Malformed, text));
        }
        // Stable: where nothing tells the times, the list is taken to begin with the newest.
        items.sort_by_key(|item| Reverse(self.created(item)));
        let serving = items.iter().position(|item| self.state(item).0 == DeploymentState::Live);
        let ours = items.iter().position(|item| {
            self.names(item, pushed) && !(self.has_ended(item) && pushed.is_before(self.created(item)))
        });
        let deployment = ours.map(|at| {
            let (state, raw) = self.state(items[at]);
            let overtaken = serving.is_some_and(|serving| serving < at);
            let state = if state == DeploymentState::Live && overtaken { DeploymentState::Replaced } else { state };
            self.deployment(items[at], state, raw, pushed)
        });
        let serving = serving.map(|at| Serving {
            deployment_id: self.id(items[at]),
            commit: text_at(items[at], &self.commit).map(|commit| pushed.seen(&commit)),
            site_url: self.address(items[at], self.site.as_deref()),
            is_later: ours.is_some_and(|ours| at < ours),
        });
        let log = ours.and_then(|at| items[at].pointer(self.log.as_deref()?)?.as_str().map(str::to_owned));
        // Of a single answer about another commit nothing is known: only a list shows what serves.
        let serving = serving.filter(|_| self.items.is_some());
        Ok((ProviderObservation { deployment, serving, will_not_deploy: None }, log))
    }

    fn deployment(&self, item: &Value, state: DeploymentState, raw: String, pushed: &Pushed) -> Deployment {
        let shown = |pointer: &Option<String>| {
            let text = one_line(&text_at(item, pointer.as_deref()?)?, 500);
            (!text.is_empty()).then_some(text)
        };
        Deployment {
            id: self.id(item),
            state,
            raw,
            commit: pushed.seen(&text_at(item, &self.commit).unwrap_or_default()),
            url: self.address(item, self.page.as_deref()),
            site_url: self.address(item, self.site.as_deref()),
            progress: shown(&self.progress),
            reason: shown(&self.reason),
        }
    }

    fn names(&self, item: &Value, pushed: &Pushed) -> bool {
        text_at(item, &self.commit).is_some_and(|commit| pushed.is(&commit))
    }

    /// What the state's word means, and the word.
    fn state(&self, item: &Value) -> (DeploymentState, String) {
        let raw = text_at(item, &self.state).map(|text| one_line(&text, 80)).filter(|text| !text.is_empty());
        let Some(raw) = raw else { return (DeploymentState::Unknown, "(no state)".to_owned()) };
        let known = self.words.iter().find(|(word, _)| *word == raw.to_lowercase());
        (known.map_or(DeploymentState::Unknown, |(_, state)| *state), raw)
    }

    fn has_ended(&self, item: &Value) -> bool {
        use DeploymentState::{Canceled, Failed, Skipped, Superseded};
        matches!(self.state(item).0, Failed | Canceled | Superseded | Skipped)
    }

    fn id(&self, item: &Value) -> String {
        let id = self.id.as_deref().and_then(|pointer| text_at(item, pointer));
        one_line(&id.or_else(|| text_at(item, &self.commit)).unwrap_or_default(), 80)
    }

    fn address(&self, item: &Value, pointer: Option<&str>) -> Option<String> {
        text_at(item, pointer?).filter(|text| is_web_address(text))
    }

    /// A time as RFC 3339 text, or in seconds or milliseconds since 1970.
    fn created(&self, item: &Value) -> Option<Timestamp> {
        match item.pointer(self.created.as_deref()?)? {
            Value::String(text) => text.trim().parse().ok(),
            Value::Number(number) => match number.as_i64()? {
                seconds @ ..100_000_000_000 => Timestamp::from_second(seconds).ok(),
                milliseconds => Timestamp::from_millisecond(milliseconds).ok(),
            },
            _ => None,
        }
    }
}

fn words(settings: &Settings<'_>) -> Result<Vec<(String, DeploymentState)>, SetupError> {
    let missing =
        || wrong("words", "is needed by http, such as words = { live = [\"deployed\"], failed = [\"error\"] }");
    let table = settings.table("words")?.filter(|table| table.contains_key("live")).ok_or_else(missing)?;
    let mut words: Vec<(String, DeploymentState)> = Vec::new();
    for (key, list) in table {
        let Some((_, state)) = STATES.iter().find(|(name, _)| name == key) else {
            return Err(wrong("words", &format!("has {key:?}; known are {}", STATES.map(|(name, _)| name).join(", "))));
        };
        for word in texts("words", list)? {
            let word = word.trim().to_lowercase();
            if words.iter().any(|(known, _)| *known == word) {
                return Err(wrong("words", &format!("has {word:?} twice")));
            }
            words.push((word, *state));
        }
    }
    Ok(words)
}

/// A step of a JSON pointer as the name of a field (RFC 6901).
fn unescaped(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

/// The text, number or flag at a pointer.
fn text_at(item: &Value, pointer: &str) -> Option<String> {
    match item.pointer(pointer)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}
