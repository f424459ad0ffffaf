//! A GraphQL schema: checks the document and the variables of a request, and that an answer has what was asked for.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock},
};

use apollo_compiler::{
    ExecutableDocument, Schema, ast::Type, executable::Selection, executable::SelectionSet, validation::Valid,
};
use serde_json::Value;

use crate::{HttpRequest, HttpResponse};

pub(super) fn check(file: &Path, request: &HttpRequest, answer: Option<&HttpResponse>) {
    let schema = schema(file);
    let body: Value = serde_json::from_slice(request.body.as_deref().unwrap()).unwrap();
    let text = body["query"].as_str().unwrap();
    let document = ExecutableDocument::parse_and_validate(&schema, text, "request.graphql")
        .unwrap_or_else(|error| panic!("{text}\n{}", error.errors));
    let operation = document.operations.get(body["operationName"].as_str()).unwrap();
    let variables = body["variables"].as_object().cloned().unwrap_or_default();
    let variables: apollo_compiler::response::JsonMap = serde_json::from_value(Value::Object(variables)).unwrap();
    if let Err(error) = apollo_compiler::request::coerce_variable_values(&schema, operation, &variables) {
        panic!("the variables of\n{text}\n{error:?}");
    }
    if let Some(answer) = answer {
        let answer: Value = serde_json::from_slice(&answer.body).unwrap();
        let mut problems = Vec::new();
        if answer["errors"].is_null() {
            fits(&document, &operation.selection_set, &answer["data"], "data", &mut problems);
        }
        assert!(problems.is_empty(), "the answer to\n{text}\n{}", problems.join("\n"));
    }
}

fn schema(file: &Path) -> Arc<Valid<Schema>> {
    static SCHEMAS: OnceLock<Mutex<HashMap<PathBuf, Arc<Valid<Schema>>>>> = OnceLock::new();
    let mut schemas = SCHEMAS.get_or_init(Mutex::default).lock().unwrap_or_else(|it| it.into_inner());
    let read = || {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let made = Schema::parse_and_validate(text, file).unwrap_or_else(|error| panic!("{}", error.errors));
        Arc::new(made)
    };
    Arc::clone(schemas.entry(file.to_owned()).or_insert_with(read))
}

/// Every selected field must be there with a value of its type's shape, and nothing else.
fn fits(
    document: &Valid<ExecutableDocument>,
    selections: &SelectionSet,
    value: &Value,
    path: &str,
    problems: &mut Vec<String>,
) {
    let Some(object) = value.as_object() else {
        problems.push(format!("{path} is no object"));
        return;
    };
    let mut selected = Vec::new();
    collect(document, selections, &mut selected);
    for (key, ..) in object {
        if !selected.iter().any(|(name, ..)| name == key) {
            problems.push(format!("{path}.{key} was not asked for"));
        }
    }
    for (name, kind, inner) in selected {
        let path = format!("{path}.{name}");
        match object.get(&name) {
            None => problems.push(format!("{path} is missing")),
            Some(value) => shaped(document, &kind, &inner, value, &path, problems),
        }
    }
}

fn collect(
    document: &Valid<ExecutableDocument>,
    selections: &SelectionSet,
    selected: &mut Vec<(String, Type, SelectionSet)>,
) {
    for selection in &selections.selections {
        match selection {
            Selection::Field(field) => {
                selected.push((field.response_key().to_string(), field.ty().clone(), field.selection_set.clone()));
            }
            Selection::InlineFragment(fragment) => collect(document, &fragment.selection_set, selected),
            Selection::FragmentSpread(spread) => {
                let fragment = document.fragments.get(&spread.fragment_name).unwrap();
                collect(document, &fragment.selection_set, selected);
            }
        }
    }
}

fn shaped(
    document: &Valid<ExecutableDocument>,
    kind: &Type,
    inner: &SelectionSet,
    value: &Value,
    path: &str,
    problems: &mut Vec<String>,
) {
    if value.is_null() {
        if kind.is_non_null() {
            problems.push(format!("{path} may not be null"));
        }
        return;
    }
    match kind {
        Type::List(item) | Type::NonNullList(item) => match value.as_array() {
            Some(items) => {
                for (at, value) in items.iter().enumerate() {
                    shaped(document, item, inner, value, &format!("{path}[{at}]"), problems);
                }
            }
            None => problems.push(format!("{path} is no list")),
        },
        Type::Named(name) | Type::NonNullNamed(name) => {
            if !inner.selections.is_empty() {
                return fits(document, inner, value, path, problems);
            }
            let sound = match name.as_str() {
                "String" | "ID" | "DateTime" => value.is_string(),
                "Int" => value.is_i64(),
                "Float" => value.is_number(),
                "Boolean" => value.is_boolean(),
                _ => true,
            };
            if !sound {
                problems.push(format!("{path} is no {name}"));
            }
        }
    }
}
