//! An OpenAPI 3 or Swagger 2 document: finds the operation of a request, and checks request and answer against it.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock},
};

use jsonschema::Validator;
use serde_json::{Value, json};
use url::Url;

use crate::{HttpRequest, HttpResponse};

/// A vendor's document, read once.
pub(super) struct Document {
    whole: Value,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// One operation of it.
pub(super) struct Operation<'a> {
    document: &'a Document,
    /// Where it stands, for the names of its schemas.
    place: String,
    operation: &'a Value,
    parameters: Vec<&'a Value>,
    path_values: HashMap<String, String>,
}

impl Document {
    pub(super) fn read(file: &Path) -> Arc<Self> {
        static DOCUMENTS: OnceLock<Mutex<HashMap<PathBuf, Arc<Document>>>> = OnceLock::new();
        let mut documents = DOCUMENTS.get_or_init(Mutex::default).lock().unwrap_or_else(|it| it.into_inner());
        let read = || {
            let text = fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let mut whole: Value = serde_json::from_slice(&text).unwrap();
            allow_nulls(&mut whole);
            Arc::new(Self { whole, validators: Mutex::default() })
        };
        Arc::clone(documents.entry(file.to_owned()).or_insert_with(read))
    }

    /// The operation whose path fits; one without variables in a place goes before one with.
    pub(super) fn operation(&self, path: &str, method: &str) -> Option<Operation<'_>> {
        let paths = self.whole["paths"].as_object()?;
        let fitting = paths.iter().filter_map(|(template, item)| Some((template, item, fit(template, path)?)));
        let (template, item, path_values) =
            fitting.filter(|(_, item, _)| item.get(method).is_some()).min_by_key(|(_, _, values)| values.len())?;
        let operation = &item[method];
        let listed = [&item["parameters"], &operation["parameters"]];
        let parameters = listed.into_iter().filter_map(Value::as_array).flatten().map(|it| self.resolved(it)).collect();
        Some(Operation { document: self, place: format!("{method} {template}"), operation, parameters, path_values })
    }

    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => self.resolved(self.whole.pointer(reference.trim_start_matches('#')).unwrap()),
            None => value,
        }
    }

    fn problems(&self, name: String, schema: &Value, value: &Value) -> Vec<String> {
        let mut validators = self.validators.lock().unwrap_or_else(|it| it.into_inner());
        let validator = Arc::clone(validators.entry(name).or_insert_with(|| {
            // The schema, with what its references lead to.
            let root = json!({
                "allOf": [schema],
                "components": self.whole.get("components").unwrap_or(&json!({})),
                "definitions": self.whole.get("definitions").unwrap_or(&json!({})),
            });
            let is_newest = self.whole["openapi"].as_str().is_some_and(|version| version.starts_with("3.1"));
            // OpenAPI 3.0 and Swagger describe bodies in the language of JSON Schema's fourth draft.
            let made = if is_newest { jsonschema::draft202012::new(&root) } else { jsonschema::draft4::new(&root) };
            Arc::new(made.unwrap_or_else(|error| panic!("{error}")))
        }));
        drop(validators);
        validator.iter_errors(value).map(|problem| format!("{}: {problem}", problem.instance_path())).collect()
    }
}

impl Operation<'_> {
    /// Every part of the request must be described, and everything that must be there must be there.
    pub(super) fn problems_of_request(
        &self,
        url: &Url,
        request: &HttpRequest,
        is_known: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        let mut problems = Vec::new();
        let queries: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        for (name, value) in &queries {
            match self.parameters.iter().find(|it| it["in"] == "query" && it["name"] == name.as_str()) {
                None if is_known(name) => {}
                None => problems.push(format!("the query parameter {name} is not described")),
                Some(parameter) => problems.extend(self.problems_of_parameter(parameter, value)),
            }
        }
        for parameter in &self.parameters {
            let name = parameter["name"].as_str().unwrap();
            let value = match parameter["in"].as_str() {
                Some("query") => queries.iter().find(|(it, _)| it == name).map(|(_, value)| value.clone()),
                Some("path") => self.path_values.get(name).cloned(),
                Some("header") => {
                    request.headers.iter().find(|(it, _)| it.eq_ignore_ascii_case(name)).map(|it| it.1.clone())
                }
                _ => continue,
            };
            match value {
                None if parameter["required"] == true => problems.push(format!("{name} is missing")),
                Some(value) if parameter["in"] == "path" => {
                    problems.extend(self.problems_of_parameter(parameter, &value))
                }
                _ => {}
            }
        }
        problems
    }

    fn problems_of_parameter(&self, parameter: &Value, text: &str) -> Vec<String> {
        // Swagger 2 writes the schema into the parameter itself.
        let schema = parameter.get("schema").unwrap_or(parameter);
        let schema = self.document.resolved(schema);
        let name = parameter["name"].as_str().unwrap();
        let kind = schema["type"].as_str().unwrap_or("string");
        let item = self.document.resolved(&schema["items"]);
        let value = match kind {
            "array" => Value::Array(
                text.split(',').map(|part| typed(item["type"].as_str().unwrap_or("string"), part)).collect(),
            ),
            kind => typed(kind, text),
        };
        let schema: Value = match schema.as_object() {
            // What a Swagger parameter says beside its schema is no part of it.
            Some(object) => object
                .iter()
                .filter(|(key, _)| !["in", "name", "required", "collectionFormat"].contains(&key.as_str()))
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect(),
            None => schema.clone(),
        };
        let found = self.document.problems(format!("{} {name}", self.place), &schema, &value);
        found.into_iter().map(|problem| format!("parameter {name}: {problem}")).collect()
    }

    /// The body must fit the schema of its status.
    pub(super) fn problems_of_answer(&self, answer: &HttpResponse) -> Vec<String> {
        let responses = &self.operation["responses"];
        let status = answer.status.to_string();
        let response = [status.as_str(), "2XX", "default"].iter().find_map(|status| responses.get(*status));
        let Some(response) = response else {
            return vec![format!("the status {status} is not described")];
        };
        let response = self.document.resolved(response);
        let content = response["content"].as_object();
        let json = content.and_then(|content| content.iter().find(|(kind, _)| kind.contains("json")));
        let Some(schema) = json.map(|(_, it)| &it["schema"]).or(response.get("schema")) else { return Vec::new() };
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        let found = self.document.problems(format!("{} {status}", self.place), schema, &body);
        found.into_iter().map(|problem| format!("answer{problem}")).collect()
    }
}

/// The values of the variables, when a path fits a template such as `/apps/{id}`.
fn fit(template: &str, path: &str) -> Option<HashMap<String, String>> {
    let (templates, parts): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    if templates.len() != parts.len() {
        return None;
    }
    let mut values = HashMap::new();
    for (template, part) in templates.iter().zip(parts) {
        match template.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) => {
                let value = Url::parse(&format!("a://b/?v={}", part.replace('+', "%2B"))).unwrap();
                values.insert(name.to_owned(), value.query_pairs().next().unwrap().1.into_owned());
            }
            None if *template == part => {}
            None => return None,
        }
    }
    Some(values)
}

fn typed(kind: &str, text: &str) -> Value {
    match kind {
        "integer" | "number" | "boolean" => serde_json::from_str(text).unwrap_or(Value::String(text.to_owned())),
        _ => Value::String(text.to_owned()),
    }
}

/// Makes JSON Schema of what OpenAPI says in words of its own: `nullable` is a type more.
fn allow_nulls(value: &mut Value) {
    match value {
        Value::Object(object) => {
            // Before the object itself is put into another one: that one holds it with its word, and would be put into a third.
            object.values_mut().for_each(allow_nulls);
            // A choice of nothing, which some generators leave behind, would allow nothing.
            for choice in ["oneOf", "anyOf"] {
                if object.get(choice).and_then(Value::as_array).is_some_and(Vec::is_empty) {
                    object.remove(choice);
                }
            }
            let is_nullable =
                ["nullable", "x-nullable"].iter().any(|word| object.get(*word) == Some(&Value::Bool(true)));
            if is_nullable {
                if let Some(Value::Array(words)) = object.get_mut("enum") {
                    words.push(Value::Null);
                }
                match object.get_mut("type") {
                    Some(kind) if kind.is_string() => *kind = json!([kind.clone(), "null"]),
                    Some(_) => {}
                    None => {
                        let inner = Value::Object(std::mem::take(object));
                        object.insert("anyOf".to_owned(), json!([inner, {"type": "null"}]));
                    }
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(allow_nulls),
        _ => {}
    }
}
