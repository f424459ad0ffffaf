//! Reduces a JSON answer to the fields that are read, before it is kept or shared: answers of hosting platforms hold the plain
//! values of environment variables.

use serde_json::Value;

use crate::Fields;

/// Keeps the named fields, at whatever depth, of every object. `None` when the body is not JSON.
#[must_use]
pub fn reduce(body: &[u8], fields: &Fields) -> Option<Vec<u8>> {
    let mut value: Value = serde_json::from_slice(body).ok()?;
    prune(&mut value, &fields.names().collect::<Vec<_>>());
    serde_json::to_vec(&value).ok()
}

/// The depth is bounded by the JSON reader's own limit of 128 levels.
fn prune(value: &mut Value, fields: &[&str]) {
    match value {
        Value::Object(object) => {
            object.retain(|key, _| fields.contains(&key.as_str()));
            object.values_mut().for_each(|value| prune(value, fields));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| prune(value, fields)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_named_fields_are_kept_at_every_depth() {
        let body = json!({
            "app": {"id": "1", "envs": [{"id": "2", "value": "secret"}], "steps": [{"id": 3, "env": "secret"}]},
            "meta": null,
        });
        let fields = Fields::Read(&["app", "id", "steps"]);
        let reduced = reduce(body.to_string().as_bytes(), &fields).unwrap();
        let expected = json!({"app": {"id": "1", "steps": [{"id": 3}]}});
        assert_eq!(serde_json::from_slice::<Value>(&reduced).unwrap(), expected);
        assert_eq!(reduce(b"<html>", &fields), None);
    }
}
