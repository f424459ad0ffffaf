//! The two listeners: who may ask, which questions there are, what is wrong with a question, and faults on demand.

use std::{
    convert::Infallible,
    io,
    net::TcpListener,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request as Incoming, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use futures_util::stream;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{
    Fault, Request, Shared,
    answer::{self, error},
    platform::{App, Deployment, Platform},
};

/// The kinds of deployments that a list may be narrowed to.
const DEPLOYMENT_TYPES: [&str; 7] = [
    "MANUAL",
    "DEPLOY_ON_PUSH",
    "MAINTENANCE",
    "MANUAL_ROLLBACK",
    "AUTO_ROLLBACK",
    "UPDATE_DATABASE_TRUSTED_SOURCES",
    "AUTOSCALED",
];

const LOG_TYPES: [&str; 6] = ["UNSPECIFIED", "BUILD", "DEPLOY", "RUN", "RUN_RESTARTED", "AUTOSCALE_EVENT"];

/// The signature in the addresses of archived logs, as if the vendor's storage had made it.
const SIGNATURE: &str = "X-Amz-Signature=5161";

/// Larger than any answer that a client should take.
const HUGE_CHUNKS: usize = 48;

/// Serves until the end is told. Connections that are under way then are cut.
pub(super) fn serve(api: TcpListener, archive: TcpListener, shared: Shared, ended: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listen = |listener: TcpListener| {
            listener.set_nonblocking(true).expect("a socket that does not block");
            tokio::net::TcpListener::from_std(listener).expect("a socket in the runtime")
        };
        let to_api = Router::new().fallback(ask_api).with_state(shared.clone());
        let to_archive = Router::new().fallback(ask_archive).with_state(shared);
        tokio::spawn(async move { axum::serve(listen(api), to_api).await });
        tokio::spawn(async move { axum::serve(listen(archive), to_archive).await });
        let _ = ended.await;
    });
    runtime.shutdown_background();
}

fn recorded(request: &Incoming) -> Request {
    let line =
        |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes()));
    Request {
        at: Instant::now(),
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        authorised: request.headers().contains_key(header::AUTHORIZATION),
        headers: request.headers().iter().map(line).collect(),
        refused: false,
    }
}

async fn ask_api(State(shared): State<Shared>, request: Incoming) -> Response {
    let mut seen = recorded(&request);
    let token = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
        .map(str::to_owned);
    let (fault, answer) = {
        let mut platform = shared.lock();
        seen.at = Instant::now();
        seen.refused = platform.is_over_limit(seen.at);
        platform.requests.push(seen.clone());
        platform.advance();
        let fault = match seen.refused {
            true => Some(Fault::RateLimited { retry_after: 1 }),
            false => platform.faults.pop_front(),
        };
        (fault, platform.answer(&seen, token.as_deref()))
    };
    match fault {
        None => json_response(&answer),
        Some(fault) => faulty(fault, answer).await,
    }
}

type Answer = (u16, Value);

fn not_found() -> Answer {
    let message = "The resource you were accessing could not be found.";
    (404, error("not_found", message))
}

fn bad_request(message: &str) -> Answer {
    (400, error("bad_request", message))
}

impl Platform {
    fn answer(&self, request: &Request, token: Option<&str>) -> Answer {
        let refused = |token: &str| self.refused.iter().any(|it| it == token);
        let Some(token) = token.filter(|token| !token.is_empty() && !refused(token)) else {
            return (401, error("unauthorized", "Unable to authenticate you."));
        };
        if self.forbidden.iter().any(|it| it == token) {
            let message = "You are not authorized to perform this operation";
            return (403, error("forbidden", message));
        }
        let path: Vec<&str> = request.path.split('/').skip(1).collect();
        let ["v2", "apps", rest @ ..] = path.as_slice() else {
            return not_found();
        };
        if request.method != "GET" {
            return (405, error("method_not_allowed", "This simulator only answers questions."));
        }
        let query = Query::read(&request.query);
        let Some((id, rest)) = rest.split_first() else {
            return self.list_apps(request, &query);
        };
        let Some(app) = self.app(id) else {
            return not_found();
        };
        let find = |id: &str| app.deployments.iter().find(|it| it.id == id);
        match rest {
            [] => (200, json!({"app": answer::app(app)})),
            ["health"] => (200, answer::health(app)),
            ["deployments"] => self.list_deployments(app, request, &query),
            ["deployments", id] => match find(id) {
                Some(it) => (200, json!({"deployment": answer::deployment(app, it)})),
                None => not_found(),
            },
            ["deployments", id, "logs"] | ["deployments", id, "components", "web", "logs"] => match find(id) {
                Some(it) => self.logs(it, &query),
                None => not_found(),
            },
            _ => not_found(),
        }
    }

    fn list_apps(&self, request: &Request, query: &Query) -> Answer {
        let apps: Vec<Value> = self.apps.iter().map(answer::app).collect();
        page("apps", apps, request, query)
    }

    fn list_deployments(&self, app: &App, request: &Request, query: &Query) -> Answer {
        let kinds: Vec<&str> = query.all("deployment_types").collect();
        if kinds.iter().any(|kind| !DEPLOYMENT_TYPES.contains(kind)) {
            return bad_request("invalid deployment type");
        }
        let wanted = |it: &&Deployment| kinds.is_empty() || kinds.contains(&it.kind);
        let deployments = app.deployments.iter().filter(wanted);
        let deployments = deployments.map(|it| answer::deployment(app, it)).collect();
        page("deployments", deployments, request, query)
    }

    fn logs(&self, it: &Deployment, query: &Query) -> Answer {
        let Some(kind) = query.all("type").next() else {
            return bad_request("type is required");
        };
        if !LOG_TYPES.contains(&kind) {
            return bad_request("invalid log type");
        }
        if !matches!(query.all("follow").next(), None | Some("true" | "false")) {
            return bad_request("follow must be a boolean");
        }
        let lines = query.all("tail_lines").next();
        if lines.is_some_and(|lines| lines.parse::<i64>().is_err()) {
            return bad_request("tail_lines must be an integer");
        }
        if !it.has_ended() {
            return (200, json!({"live_url": format!("{}/live?token=5161", self.archive)}));
        }
        if !it.logs.contains_key(kind) {
            return bad_request(&format!(
                "cannot get {} logs from deployment {} in phase final_cleanup",
                kind.to_lowercase(),
                it.id
            ));
        }
        let url = format!("{}/{}/{kind}.log?{SIGNATURE}", self.archive, it.id);
        (200, json!({"historic_urls": [url]}))
    }
}

/// One page of a list, with the links and the count that all lists have.
fn page(key: &str, items: Vec<Value>, request: &Request, query: &Query) -> Answer {
    let number = |name: &str, default: usize, most: usize| match query.all(name).next() {
        None => Some(default),
        Some(text) => text.parse().ok().filter(|it| (1..=most).contains(it)),
    };
    let Some(page) = number("page", 1, usize::MAX) else {
        return bad_request("page must be a positive integer");
    };
    let Some(per_page) = number("per_page", 20, 200) else {
        return bad_request("per_page must be between 1 and 200");
    };
    let total = items.len();
    let last = total.div_ceil(per_page).max(1);
    let link = |page: usize| format!("https://api.digitalocean.com{}?page={page}&per_page={per_page}", request.path);
    let mut pages = json!({});
    if page < last {
        pages["next"] = json!(link(page + 1));
        pages["last"] = json!(link(last));
    }
    if page > 1 {
        pages["first"] = json!(link(1));
        pages["prev"] = json!(link(page - 1));
    }
    let skipped = (page - 1).saturating_mul(per_page);
    let items: Vec<Value> = items.into_iter().skip(skipped).take(per_page).collect();
    (200, json!({key: items, "links": {"pages": pages}, "meta": {"total": total}}))
}

/// The parameters of a query, each of which may stand there several times.
struct Query(Vec<(String, String)>);

impl Query {
    fn read(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (name.to_owned(), value.to_owned())
                })
                .collect(),
        )
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(it, _)| it == name).map(|(_, value)| value.as_str())
    }
}

fn response(status: u16, kind: &str, body: Body) -> Response {
    Response::builder()
        .status(StatusCode::from_u16(status).expect("a status of the simulator's own"))
        .header(header::CONTENT_TYPE, kind)
        .header("ratelimit-limit", 5000)
        .header("ratelimit-remaining", 4816)
        .header("ratelimit-reset", Timestamp::now().as_second() + 3600)
        .body(body)
        .expect("headers of the simulator's own")
}

fn json_response((status, body): &Answer) -> Response {
    response(*status, "application/json", Body::from(body.to_string()))
}

/// What comes instead of the answer.
async fn faulty(fault: Fault, answer: Answer) -> Response {
    let text = answer.1.to_string();
    let as_json = |text: String| response(200, "application/json", Body::from(text));
    match fault {
        Fault::RateLimited { retry_after } => {
            let body = error("too_many_requests", "API rate limit exceeded.");
            let mut response = json_response(&(429, body));
            response.headers_mut().insert(header::RETRY_AFTER, retry_after.into());
            response
        }
        Fault::Status(status) => json_response(&(status, error("server_error", "Unexpected server-side error"))),
        Fault::Html => response(200, "text/html", Body::from("<!DOCTYPE html><title>Maintenance</title>")),
        Fault::Truncated => as_json(text[..text.len() / 2].to_owned()),
        Fault::Empty => as_json(String::new()),
        Fault::Nulls => as_json(nulls(answer.1).to_string()),
        Fault::Huge => {
            let chunk = Bytes::from(vec![b' '; 1024 * 1024]);
            let chunks = (0..HUGE_CHUNKS).map(move |_| Ok::<_, Infallible>(chunk.clone()));
            response(200, "application/json", Body::from_stream(stream::iter(chunks)))
        }
        Fault::Broken => {
            let half = Bytes::from(text[..text.len() / 2].to_owned());
            let parts = [Ok(half), Err(io::Error::other("broken on demand"))];
            response(200, "application/json", Body::from_stream(stream::iter(parts)))
        }
        Fault::Slow(by) => {
            tokio::time::sleep(by).await;
            json_response(&answer)
        }
        Fault::Trickle => {
            let bytes = stream::unfold(text.into_bytes().into_iter(), |mut rest| async move {
                let byte = rest.next()?;
                tokio::time::sleep(Duration::from_secs(1)).await;
                Some((Ok::<_, Infallible>(Bytes::from(vec![byte])), rest))
            });
            response(200, "application/json", Body::from_stream(bytes))
        }
    }
}

fn nulls(mut answer: Value) -> Value {
    for value in answer.as_object_mut().into_iter().flat_map(|it| it.values_mut()) {
        match value.as_object_mut() {
            Some(fields) => fields.values_mut().for_each(|it| *it = Value::Null),
            None => *value = Value::Null,
        }
    }
    answer
}

/// The archive of logs: signed addresses, and like the vendor's storage it refuses a second way of signing in.
async fn ask_archive(State(shared): State<Shared>, request: Incoming) -> Response {
    let seen = recorded(&request);
    let mut platform = shared.lock();
    platform.downloads.push(seen.clone());
    let plain = |status: u16, text: &str| response(status, "text/plain", Body::from(text.to_owned()));
    if seen.authorised {
        return plain(400, "<Error><Code>InvalidArgument</Code></Error>");
    }
    if seen.query != SIGNATURE {
        return plain(403, "<Error><Code>AccessDenied</Code></Error>");
    }
    let mut deployments = platform.apps.iter().flat_map(|app| &app.deployments);
    let log = deployments.find_map(|it| {
        let file = seen.path.strip_prefix(&format!("/{}/", it.id))?;
        it.logs.get(file.strip_suffix(".log")?)
    });
    match log {
        Some(log) => plain(200, log),
        None => plain(404, "<Error><Code>NoSuchKey</Code></Error>"),
    }
}
