//! Between the transport and Prism: hands on every request as it is, writes down what Prism says against it, and puts into the
//! answers what the test says.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;

use crate::walk::Description;

/// What stands below this path is on no vendor's API: a log at its signed address. The relay answers it by itself.
const ELSEWHERE: &str = "/elsewhere/";
/// The log that is there.
pub(crate) const LOG: &str = "the last line of the log";

/// What is put into the answers to a path of the description: at these places, by JSON pointer, these values.
pub(crate) type Says = Vec<(&'static str, Vec<(&'static str, Value)>)>;

/// What the relay knows.
pub(crate) struct Relay {
    /// Where it answers.
    pub(crate) url: String,
    prism: String,
    description: Description,
    client: reqwest::Client,
    seen: Mutex<Seen>,
}

/// What passes through, and what has passed.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) says: Says,
    /// Headers that are added on the way to Prism.
    pub(crate) added: Vec<(&'static str, &'static str)>,
    /// Calls that the vendor's own client makes and the description lacks, by the end of their path, and their answers.
    pub(crate) beyond: Vec<(&'static str, Value)>,
    /// The paths of the description that were asked for.
    pub(crate) asked: BTreeSet<String>,
    /// What Prism found wrong with requests.
    pub(crate) complaints: Vec<String>,
}

impl Relay {
    /// Starts it.
    pub(crate) async fn start(prism: &str, description: Description) -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let relay = Arc::new(Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            prism: prism.to_owned(),
            description,
            client: reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap(),
            seen: Mutex::default(),
        });
        let router = Router::new().fallback(take).with_state(Arc::clone(&relay));
        tokio::spawn(async move { axum::serve(listener, router).await });
        relay
    }

    /// The address of a log that is not the API's.
    pub(crate) fn elsewhere(&self) -> String {
        format!("{}{ELSEWHERE}log", self.url)
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn hand_on(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        if path.starts_with(ELSEWHERE) {
            assert!(!parts.headers.contains_key(header::AUTHORIZATION), "the token went to {path}");
            return LOG.into_response();
        }
        if let Some((_, answer)) = self.seen().beyond.iter().find(|(end, _)| path.ends_with(end)) {
            return answer.to_string().into_response();
        }
        let mut headers = parts.headers;
        headers.remove(header::HOST);
        for (name, value) in &self.seen().added {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let asked = format!("{} {}", parts.method, parts.uri);
        let url = format!("{}{}", self.prism, parts.uri);
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let answer = self.client.request(parts.method, url).headers(headers).body(body).send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        let text = answer.bytes().await.unwrap();
        let template = self.description.path_of(&path);
        let mut seen = self.seen();
        seen.complaints.extend(complaints(status, &headers, &text).map(|it| format!("{asked}: {it}")));
        seen.asked.extend(template.clone());
        let says: Vec<_> = seen.says.iter().filter(|(path, _)| Some(*path) == template.as_deref()).collect();
        let body = match says.as_slice() {
            said if status.is_success() && !said.is_empty() => {
                let mut value = serde_json::from_slice(&text).unwrap_or(Value::Null);
                said.iter().flat_map(|(_, said)| said).for_each(|(place, it)| put(&mut value, place, it));
                Body::from(value.to_string())
            }
            // A refusal is the vendor's own.
            _ => Body::from(text),
        };
        let mut answer = Response::new(body);
        *answer.status_mut() = status;
        for (name, value) in &headers {
            let is_location = name == header::LOCATION;
            let value = if is_location { HeaderValue::from_str(&self.elsewhere()).unwrap() } else { value.clone() };
            if name != header::CONTENT_LENGTH && name != header::TRANSFER_ENCODING && name != header::CONNECTION {
                answer.headers_mut().append(name, value);
            }
        }
        answer
    }
}

async fn take(State(relay): State<Arc<Relay>>, request: Request) -> Response {
    relay.hand_on(request).await
}

/// What Prism says against a request. What is wrong with its own example is the description's affair.
fn complaints(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> impl Iterator<Item = String> {
    let violations =
        headers.get("sl-violations").and_then(|it| serde_json::from_slice::<Vec<Value>>(it.as_bytes()).ok());
    let of_request =
        violations.into_iter().flatten().filter(|it| it["location"][0] == "request").map(|it| it.to_string());
    // No such path, no such method, no such form of an answer.
    let is_problem =
        headers.get(header::CONTENT_TYPE).is_some_and(|it| it.as_bytes().starts_with(b"application/problem+json"));
    let problem = is_problem.then(|| format!("{status}: {}", String::from_utf8_lossy(body)));
    of_request.chain(problem)
}

/// Puts a value at a place: the object or list that holds the place must be there.
fn put(into: &mut Value, place: &str, value: &Value) {
    if let Some(found) = into.pointer_mut(place) {
        *found = value.clone();
        return;
    }
    let (parent, key) = place.rsplit_once('/').unwrap();
    let parent = into.pointer_mut(parent).unwrap_or_else(|| panic!("the example has no place for {place}"));
    parent[key] = value.clone();
}
