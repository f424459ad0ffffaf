//! The parts of an application that a readiness body reports: those that the configuration names, or all of a body in one of
//! the common forms. Pure: a body in, named parts out.

use afterpush_core::{run::SubCheck, text};
use serde_json::{Map, Value};

/// How many parts are kept, so that no answer makes the status file large.
const MOST_PARTS: usize = 50;
const LONGEST_NAME: usize = 60;
const LONGEST_SUMMARY: usize = 120;
/// Spring Boot puts components into components.
const DEEPEST: usize = 3;

/// What a body in a known form says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Recognised {
    /// Its own verdict of the whole, when it gives one.
    pub(super) is_well: Option<bool>,
    /// Its parts, in its order.
    pub(super) sub_checks: Vec<SubCheck>,
}

/// Reads a body in one of the forms that need no configuration: `application/health+json`, Spring Boot's actuator, ASP.NET
/// health checks, and the text of Kubernetes' `livez?verbose`. Any other body says nothing.
pub(super) fn recognise(content_type: &str, json: Option<&Value>, body: &[u8]) -> Recognised {
    let mut recognised = match json {
        Some(Value::Object(object)) => of_object(content_type, object),
        Some(_) => Recognised::default(),
        None => of_text(&String::from_utf8_lossy(body)),
    };
    recognised.sub_checks.truncate(MOST_PARTS);
    recognised
}

/// The part at this JSON pointer, whatever form it has there.
pub(super) fn at(json: Option<&Value>, pointer: &str) -> SubCheck {
    let Some(value) = json.and_then(|json| json.pointer(pointer)) else {
        return part(pointer, Some(false), "not in the answer");
    };
    let (healthy, said) = state(value);
    part(pointer, healthy, &said)
}

fn of_object(content_type: &str, object: &Map<String, Value>) -> Recognised {
    let Some(word) = object.get("status").and_then(Value::as_str) else { return Recognised::default() };
    let table = |keys: &[&str]| keys.iter().find_map(|key| object.get(*key));
    match word {
        "UP" | "DOWN" | "OUT_OF_SERVICE" => {
            let mut sub_checks = Vec::new();
            if let Some(Value::Object(components)) = table(&["components", "details"]) {
                spring_components("", components, DEEPEST, &mut sub_checks);
            }
            Recognised { is_well: is_well(word), sub_checks }
        }
        "Healthy" | "Degraded" | "Unhealthy" => {
            let sub_checks = table(&["entries", "results", "checks"]).map(asp_net_entries).unwrap_or_default();
            Recognised { is_well: is_well(word), sub_checks }
        }
        "pass" | "warn" | "fail" => health_json(word, object),
        // The draft's other words are in wider use than the draft.
        "ok" | "up" | "error" | "down" if content_type.starts_with("application/health+json") => {
            health_json(word, object)
        }
        _ => Recognised::default(),
    }
}

fn spring_components(path: &str, components: &Map<String, Value>, depth: usize, parts: &mut Vec<SubCheck>) {
    for (name, component) in components {
        let name = format!("{path}{name}");
        match component.get("components").and_then(Value::as_object) {
            Some(inner) if depth > 1 => spring_components(&format!("{name}."), inner, depth - 1, parts),
            _ => {
                let (healthy, mut said) = state(component);
                if let Some(error) = component.pointer("/details/error").and_then(Value::as_str) {
                    said = format!("{said}, {error}");
                }
                parts.push(part(&name, healthy, &said));
            }
        }
    }
}

/// A table by name, or a list whose items name themselves, as the common response writers make it.
fn asp_net_entries(entries: &Value) -> Vec<SubCheck> {
    let one = |name: &str, entry: &Value| {
        let (healthy, said) = state(entry);
        part(name, healthy, &said)
    };
    match entries {
        Value::Object(table) => table.iter().map(|(name, entry)| one(name, entry)).collect(),
        Value::Array(list) => list
            .iter()
            .filter_map(|entry| {
                let name = ["name", "key", "component"].iter().find_map(|key| entry.get(*key)?.as_str())?;
                Some(one(name, entry))
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// <https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check>: each name has a list of measurements.
fn health_json(word: &str, object: &Map<String, Value>) -> Recognised {
    let mut sub_checks = Vec::new();
    for (name, measured) in object.get("checks").and_then(Value::as_object).into_iter().flatten() {
        let list = match measured {
            Value::Array(list) => list.as_slice(),
            one => std::slice::from_ref(one),
        };
        for one in list {
            let component = one.get("componentId").and_then(Value::as_str).filter(|_| list.len() > 1);
            let name = component.map_or_else(|| name.clone(), |component| format!("{name}/{component}"));
            let (healthy, said) = state(one);
            sub_checks.push(part(&name, healthy, &said));
        }
    }
    Recognised { is_well: is_well(word), sub_checks }
}

fn of_text(body: &str) -> Recognised {
    let trimmed = body.trim();
    if matches!(trimmed, "Healthy" | "Degraded" | "Unhealthy") {
        return Recognised { is_well: is_well(trimmed), sub_checks: Vec::new() };
    }
    // `[+]etcd ok`, `[-]informer-sync failed: reason withheld`
    let line = |line: &str| {
        let (healthy, rest) = match (line.strip_prefix("[+]"), line.strip_prefix("[-]")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return None,
        };
        let (name, said) = rest.split_once(' ').unwrap_or((rest, ""));
        Some(part(name, Some(healthy), said))
    };
    let sub_checks: Vec<SubCheck> = trimmed.lines().filter_map(line).collect();
    let is_well = (!sub_checks.is_empty()).then(|| sub_checks.iter().all(|part| part.healthy == Some(true)));
    Recognised { is_well, sub_checks }
}

/// What a value says of a part: a word, true or false, a table that holds one of them, or a list of such, of which the worst
/// counts.
fn state(value: &Value) -> (Option<bool>, String) {
    match value {
        Value::Bool(well) => (Some(*well), well.to_string()),
        Value::String(word) => (is_well(word), word.clone()),
        Value::Object(table) => {
            let word = ["status", "state", "health", "healthy", "ok", "up"].iter().find_map(|key| table.get(*key));
            let Some(word) = word.filter(|word| word.is_string() || word.is_boolean()) else {
                return (None, "says nothing of its state".to_owned());
            };
            let (healthy, mut said) = state(word);
            let why = ["output", "error", "message", "description", "exception"];
            if let Some(why) = why.iter().find_map(|key| table.get(*key)?.as_str()).filter(|why| !why.is_empty()) {
                said = format!("{said}, {why}");
            }
            (healthy, said)
        }
        Value::Array(list) => {
            let rank = |healthy: &Option<bool>| match healthy {
                Some(false) => 0,
                None => 1,
                Some(true) => 2,
            };
            let worst = list.iter().filter(|item| !item.is_array()).map(state).min_by_key(|(healthy, _)| rank(healthy));
            worst.unwrap_or_else(|| (None, "an empty list".to_owned()))
        }
        other => (None, other.to_string()),
    }
}

/// Tells whether a word says that something is well; `None` for one that is not known.
fn is_well(word: &str) -> Option<bool> {
    match word.trim().to_ascii_lowercase().as_str() {
        "ok" | "up" | "pass" | "passed" | "passing" | "healthy" | "ready" | "alive" | "available" | "connected"
        | "online" | "green" | "success" | "serving" | "true" => Some(true),
        // In working order, with something to look at: both forms answer 200 with them.
        "warn" | "warning" | "degraded" => Some(true),
        "fail" | "failed" | "failing" | "failure" | "error" | "down" | "unhealthy" | "out_of_service"
        | "unavailable" | "disconnected" | "offline" | "critical" | "red" | "not_serving" | "false" => Some(false),
        _ => None,
    }
}

fn part(name: &str, healthy: Option<bool>, said: &str) -> SubCheck {
    let summary = text::one_line(said, LONGEST_SUMMARY);
    SubCheck { name: text::one_line(name, LONGEST_NAME), healthy, summary }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The verdict, and each part as `name=state: what it says`.
    fn read(content_type: &str, body: &str) -> (Option<bool>, Vec<String>) {
        let json = serde_json::from_str::<Value>(body).ok();
        let Recognised { is_well, sub_checks } = recognise(content_type, json.as_ref(), body.as_bytes());
        let shown = |part: &SubCheck| {
            let state = part.healthy.map_or("?", |well| if well { "well" } else { "bad" });
            format!("{}={state}: {}", part.name, part.summary)
        };
        (is_well, sub_checks.iter().map(shown).collect())
    }

    #[test]
    fn health_json_is_understood() {
        let body = r#"{"status":"fail","version":"1","checks":{
            "cassandra:responseTime":[{"componentId":"a","status":"pass"},{"componentId":"b","status":"fail","output":"late"}],
            "uptime":[{"status":"warn"}]}}"#;
        let parts =
            ["cassandra:responseTime/a=well: pass", "cassandra:responseTime/b=bad: fail, late", "uptime=well: warn"];
        assert_eq!(read("application/health+json", body), (Some(false), parts.map(str::to_owned).to_vec()));
        assert_eq!(read("application/health+json; charset=utf-8", r#"{"status":"ok"}"#), (Some(true), vec![]));
        assert_eq!(read("application/json", r#"{"status":"error"}"#), (None, vec![]), "anybody's word");
    }

    #[test]
    fn spring_boot_is_understood() {
        let body = r#"{"status":"DOWN","components":{
            "db":{"components":{"orders":{"status":"UP"},"users":{"status":"DOWN","details":{"error":"refused"}}}},
            "ping":{"status":"UP"},"odd":{"status":"UNKNOWN"}},"groups":["liveness"]}"#;
        let parts = ["db.orders=well: UP", "db.users=bad: DOWN, refused", "odd=?: UNKNOWN", "ping=well: UP"];
        let (is_well, mut found) = read("application/vnd.spring-boot.actuator.v3+json", body);
        found.sort();
        assert_eq!((is_well, found), (Some(false), parts.map(str::to_owned).to_vec()));
        assert_eq!(read("", r#"{"status":"UP"}"#), (Some(true), vec![]));
        assert_eq!(read("", r#"{"status":"OUT_OF_SERVICE"}"#), (Some(false), vec![]));
    }

    #[test]
    fn asp_net_is_understood() {
        let table = r#"{"status":"Unhealthy","totalDuration":"00:00:00.1","entries":{
            "sql":{"status":"Unhealthy","description":"no route","duration":"0"}}}"#;
        let expected = (Some(false), vec!["sql=bad: Unhealthy, no route".to_owned()]);
        assert_eq!(read("application/json", table), expected);
        let list = r#"{"status":"Degraded","checks":[{"name":"redis","status":"Degraded"},{"status":"Healthy"}]}"#;
        assert_eq!(read("application/json", list), (Some(true), vec!["redis=well: Degraded".to_owned()]));
        assert_eq!(read("text/plain", "Healthy"), (Some(true), vec![]));
        assert_eq!(read("text/plain", "Unhealthy\n"), (Some(false), vec![]));
        assert_eq!(read("text/plain", "Healthy food"), (None, vec![]));
    }

    #[test]
    fn kubernetes_is_understood() {
        let body = "[+]ping ok\n[-]etcd failed: reason withheld\n[+]poststarthook/start ok\nreadyz check failed\n";
        let parts = ["ping=well: ok", "etcd=bad: failed: reason withheld", "poststarthook/start=well: ok"];
        assert_eq!(read("text/plain", body), (Some(false), parts.map(str::to_owned).to_vec()));
        assert_eq!(read("text/plain", "[+]ping ok\nlivez check passed").0, Some(true));
    }

    #[test]
    fn other_bodies_say_nothing() {
        for body in ["", "{}", "[]", "null", "\"Healthy\"", "<p>[+]", r#"{"status":"live"}"#, r#"{"status":1}"#, "[1"] {
            assert_eq!(read("", body), (None, vec![]), "{body}");
        }
    }

    #[test]
    fn a_named_part_is_read_in_any_form() {
        let json: Value = serde_json::from_str(
            r#"{"a":true,"b":"OK","c":{"ok":false},"d":[{"status":"pass"},{"status":"fail"}],"e":null,"f":{"x":1},"g":[],
                "h":"connected","i":7}"#,
        )
        .unwrap();
        for (pointer, healthy) in [
            ("/a", Some(true)),
            ("/b", Some(true)),
            ("/c", Some(false)),
            ("/d", Some(false)),
            ("/e", None),
            ("/f", None),
            ("/g", None),
            ("/h", Some(true)),
            ("/i", None),
            ("/z", Some(false)),
        ] {
            assert_eq!(at(Some(&json), pointer).healthy, healthy, "{pointer}");
        }
    }

    #[test]
    fn what_strangers_write_stays_small_and_clean() {
        let many: Map<String, Value> =
            (0..500).map(|n| (format!("n{n}"), Value::from(vec![Value::from("\u{1b}[31mx".repeat(100))]))).collect();
        let body = serde_json::json!({"status": "pass", "checks": many});
        let recognised = recognise("", Some(&body), b"");
        assert_eq!(recognised.sub_checks.len(), MOST_PARTS);
        assert!(recognised.sub_checks.iter().all(|part| part.summary.chars().count() <= LONGEST_SUMMARY));
        assert!(!recognised.sub_checks.iter().any(|part| part.summary.contains('\u{1b}')));
    }
}
