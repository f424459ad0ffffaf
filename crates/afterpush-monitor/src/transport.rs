//! The sockets of the providers: sends what a provider asks for and hands the response back, within limits of time and size.
//!
//! Invariants: a credential goes to the provider's own API and nowhere else, over https or to loopback; no redirect is
//! followed; no error text holds a URL's query or a credential, and no answer the one that it was given for.

use std::time::Duration;

use afterpush_core::{
    fault::{Fault, FaultKind},
    machine::Pace,
    text::clean_line,
};
use afterpush_probes::health::insecure_because;
use afterpush_providers::{
    BodyLimit, Credential, HttpRequest, HttpResponse, Method, ProgramEnd, Provider, Question, Reply, Turn,
};
use reqwest::{Client, ClientBuilder, header, redirect};
use tokio::time::timeout;
use url::{Host, Url};

use crate::{echo, sharing::Sharing};

/// How long a provider may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Until there is a connection.
    pub connect: Duration,
    /// From one piece of an answer to the next.
    pub read: Duration,
    /// One request with its whole answer.
    pub total: Duration,
    /// A question, which may take several requests (pages, the archived parts of a log).
    pub question: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            read: Duration::from_secs(10),
            total: Duration::from_secs(20),
            question: Duration::from_secs(60),
        }
    }
}

const MAX_REQUESTS: usize = 40;
const MAX_HEADER_BYTES: usize = 64 * 1024;

/// Sends requests for one provider.
#[derive(Debug)]
pub struct Transport {
    client: Client,
    api: Url,
    /// Other addresses of the same vendor's that may be sent the credential.
    further: Vec<Url>,
    limits: Limits,
    sharing: Option<Sharing>,
}

impl Transport {
    /// A transport that sends credentials to the origin of `api` only.
    ///
    /// # Errors
    /// When `api` is neither https nor http on loopback, or the system's certificates cannot be loaded.
    pub fn new(api: &str) -> Result<Self, Fault> {
        Self::with_limits(api, Limits::default())
    }

    /// The same with other limits of time.
    ///
    /// # Errors
    /// As [`Transport::new`].
    pub fn with_limits(api: &str, limits: Limits) -> Result<Self, Fault> {
        let malformed = |text: String| Fault::new(FaultKind::Malformed, text);
        let api =
            Url::parse(api).map_err(|error| malformed(format!("the provider's address is not a URL: {error}")))?;
        Self::with(client(limits, &api), api, limits)
    }

    /// A transport whose client trusts and presents other certificates than the system's.
    ///
    /// # Errors
    /// When `api` is neither https nor http on loopback, or the client cannot be made.
    pub(crate) fn with(client: ClientBuilder, api: Url, limits: Limits) -> Result<Self, Fault> {
        if !is_safe(&api, true) {
            return Err(Fault::new(FaultKind::Malformed, "the provider's address must be https, or http on loopback"));
        }
        let client = client.build().map_err(|error| Fault::new(FaultKind::Transient, describe(error)))?;
        Ok(Self { client, api, further: Vec::new(), limits, sharing: None })
    }

    /// Sends credentials to the origins of these addresses of the same vendor's as well. One that is no address counts for nothing.
    #[must_use]
    pub fn and(self, further: &[&str]) -> Self {
        Self { further: further.iter().filter_map(|address| Url::parse(address).ok()).collect(), ..self }
    }

    /// Shares what it gets with the user's other monitors, and takes turns with them.
    #[must_use]
    pub fn sharing(self, sharing: Sharing) -> Self {
        Self { sharing: Some(sharing), ..self }
    }

    /// Asks a provider a question, to the reply or a fault. An answer that another monitor had serves when it is younger than
    /// `fresh_for`.
    ///
    /// # Errors
    /// The provider's own fault, or the transport's: no answer, a time limit, a body over its limit.
    pub async fn converse(
        &self,
        provider: &mut dyn Provider,
        question: Question,
        fresh_for: Duration,
    ) -> Result<(Reply, Pace), Fault> {
        let mut pace = Pace::default();
        let reply = self.converse_at(provider, question, fresh_for, &mut pace).await?;
        Ok((reply, pace))
    }

    /// The same, with the pace told of a fault as well.
    pub(crate) async fn converse_at(
        &self,
        provider: &mut dyn Provider,
        question: Question,
        fresh_for: Duration,
        pace: &mut Pace,
    ) -> Result<Reply, Fault> {
        let mut presented = None;
        converse(provider, question, (self.host(), self.limits.question), async |turn| match turn {
            Turn::Ask(request) => {
                presented = request.credential.clone().or(presented.take());
                let response = match &self.sharing {
                    Some(sharing) => sharing.ask(self, request, fresh_for, pace).await?,
                    None => self.send(request).await?,
                };
                // A log that is fetched without the credential can hold it all the same.
                Ok(Carried::Answered(echo::without(response, presented.as_ref())))
            }
            _ => Err(cannot_carry()),
        })
        .await
    }

    /// Tells whether the API is on this machine.
    #[must_use]
    pub fn is_on_loopback(&self) -> bool {
        is_loopback(&self.api)
    }

    /// The provider's host, for people.
    pub(crate) fn host(&self) -> &str {
        self.api.host_str().unwrap_or("the provider")
    }

    /// Sends one request.
    pub(crate) async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Fault> {
        let url = self.admit(&request)?;
        let host = url.host_str().unwrap_or("the provider").to_owned();
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
        };
        let mut builder = self.client.request(method, url).timeout(self.limits.total);
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        if let Some(credential) = &request.credential {
            let (name, text) = match credential {
                Credential::Bearer(token) => ("authorization", format!("Bearer {}", token.expose())),
                Credential::Header(name, token) => (*name, token.expose().to_owned()),
            };
            let mut value = header::HeaderValue::try_from(text).map_err(|_| {
                Fault::new(FaultKind::Unauthorized, "the token holds a character that no token can hold; set it anew")
            })?;
            value.set_sensitive(true);
            builder = builder.header(name, value);
        }
        if let Some(body) = request.body {
            builder = builder.header(header::CONTENT_TYPE, "application/json").body(body);
        }
        let trouble = |error| Fault::new(FaultKind::Transient, format!("{host}: {}", describe(error)));
        let mut response = builder.send().await.map_err(trouble)?;
        let headers = read_headers(&response, &host)?;
        let mut body: Vec<u8> = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(trouble)? {
            body.extend_from_slice(&chunk);
            match request.limit {
                BodyLimit::AtMost(most) if body.len() > most => {
                    let text = format!("{host}: the answer is larger than {most} bytes");
                    return Err(Fault::new(FaultKind::Malformed, text));
                }
                // Cut only now and then, so that a long log is not moved for each chunk.
                BodyLimit::KeepLast(last) if body.len() > 2 * last + 64 * 1024 => {
                    body.drain(..body.len() - last);
                }
                _ => {}
            }
        }
        if let BodyLimit::KeepLast(last) = request.limit
            && body.len() > last
        {
            body.drain(..body.len() - last);
        }
        let response = HttpResponse { status: response.status().as_u16(), headers, body };
        Ok(echo::without(response, request.credential.as_ref()))
    }

    /// Refuses what would carry a credential to a stranger, or anything over an open line.
    fn admit(&self, request: &HttpRequest) -> Result<Url, Fault> {
        let refuse = |text: &str| Err(Fault::new(FaultKind::Malformed, text));
        let Ok(url) = Url::parse(&request.url) else { return refuse("an address in the answer is not a URL") };
        // A provider on loopback is the user's own (only their file may say so): its logs may be there as well.
        let loopback_is_ours = is_loopback(&self.api);
        if !is_safe(&url, loopback_is_ours) {
            return refuse("an address in the answer is neither https nor on this machine's own provider");
        }
        let mut own = std::iter::once(&self.api).chain(&self.further);
        if request.credential.is_some() && !own.any(|it| it.origin() == url.origin()) {
            return refuse("refused to send the credential to another host than the provider's API");
        }
        Ok(url)
    }
}

/// What became of what a provider asked for.
pub(crate) enum Carried {
    /// Its request was answered.
    Answered(HttpResponse),
    /// Its program ended.
    Ended(ProgramEnd),
}

/// Asks a provider a question, to the reply or a fault, and carries out each of its turns on the way.
pub(crate) async fn converse(
    provider: &mut dyn Provider,
    question: Question,
    (with, limit): (&str, Duration),
    mut carry: impl AsyncFnMut(Turn) -> Result<Carried, Fault>,
) -> Result<Reply, Fault> {
    let conversation = async {
        let mut turn = provider.start(question);
        for _ in 0..MAX_REQUESTS {
            turn = match turn {
                Turn::Reply(reply) => return Ok(reply),
                Turn::Fault(fault) => return Err(fault),
                Turn::Ask(_) | Turn::Run(_) => match carry(turn).await? {
                    Carried::Answered(response) => provider.next(&response),
                    Carried::Ended(end) => provider.ended(&end),
                },
            };
        }
        Err(Fault::new(FaultKind::Malformed, format!("no end of pages after {MAX_REQUESTS} requests")))
    };
    timeout(limit, conversation).await.unwrap_or_else(|_| {
        let text = format!("no whole answer from {with} within {} s", limit.as_secs_f32());
        Err(Fault::new(FaultKind::Transient, text))
    })
}

/// That a provider asks for what its own carrier does not do.
pub(crate) fn cannot_carry() -> Fault {
    Fault::new(FaultKind::Malformed, "the provider asks for something that is not carried out for it")
}

/// The client that all requests to providers share: no redirects, no referrer, no compressed bodies. To this machine itself no
/// proxy of the environment leads: it would see the credential, which goes there unencrypted, and reach another machine.
pub(crate) fn client(limits: Limits, api: &Url) -> ClientBuilder {
    let builder = if is_loopback(api) { Client::builder().no_proxy() } else { Client::builder() };
    builder
        .user_agent(concat!("afterpush/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .referer(false)
        .connect_timeout(limits.connect)
        .read_timeout(limits.read)
        .pool_idle_timeout(Duration::from_secs(10))
        .pool_max_idle_per_host(1)
}

fn is_safe(url: &Url, loopback_is_ours: bool) -> bool {
    let no_user = url.username().is_empty() && url.password().is_none();
    no_user && (url.scheme() == "https" || (url.scheme() == "http" && loopback_is_ours && is_loopback(url)))
}

/// Tells whether the host is this machine itself.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn read_headers(response: &reqwest::Response, host: &str) -> Result<Vec<(String, String)>, Fault> {
    let mut bytes = 0;
    let mut headers = Vec::new();
    for (name, value) in response.headers() {
        bytes += name.as_str().len() + value.len();
        if bytes > MAX_HEADER_BYTES {
            let text = format!("{host}: the answer's headers are larger than {MAX_HEADER_BYTES} bytes");
            return Err(Fault::new(FaultKind::Malformed, text));
        }
        if let Ok(value) = value.to_str() {
            headers.push((name.as_str().to_owned(), value.to_owned()));
        }
    }
    Ok(headers)
}

/// What went wrong, in a few words, without the URL: its query could hold a secret.
fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    if let Some(why) = insecure_because(&error) {
        return clean_line(&format!("no secure connection: {why}"), 200);
    }
    let limit = error.is_timeout();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let text = if limit { "no answer within the time limit".to_owned() } else { cause.to_string() };
    clean_line(&text, 200)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::VecDeque;

    use afterpush_providers::{Fields, Secret};
    use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

    use super::*;

    /// Asks for the given requests one after another; its reply is the last body.
    struct Script(VecDeque<HttpRequest>);

    impl Provider for Script {
        fn start(&mut self, _: Question) -> Turn {
            Turn::Ask(self.0.pop_front().unwrap())
        }
        fn next(&mut self, response: &HttpResponse) -> Turn {
            match self.0.pop_front() {
                Some(request) => Turn::Ask(request),
                None => {
                    Turn::Reply(Reply::Log(format!("{} {}", response.status, String::from_utf8_lossy(&response.body))))
                }
            }
        }
    }

    fn get(url: String) -> HttpRequest {
        HttpRequest {
            method: Method::Get,
            url,
            headers: Vec::new(),
            credential: Some(Credential::Bearer(Secret::new("canary-token"))),
            body: None,
            limit: BodyLimit::AtMost(1000),
            fields: Fields::Untold,
        }
    }

    async fn ask(api: &str, requests: Vec<HttpRequest>) -> Result<Reply, Fault> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut script = Script(requests.into());
        let transport = Transport::new(api).unwrap();
        transport.converse(&mut script, Question::Observe, Duration::ZERO).await.map(|(reply, _)| reply)
    }

    async fn server(answer: ResponseTemplate) -> MockServer {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(answer).mount(&server).await;
        server
    }

    #[tokio::test]
    async fn a_credential_goes_to_the_api_and_a_redirect_is_not_followed() {
        let other = server(ResponseTemplate::new(200)).await;
        let moved = ResponseTemplate::new(302).insert_header("location", other.uri());
        let api = server(moved).await;
        let reply = ask(&api.uri(), vec![get(format!("{}/v2/apps", api.uri()))]).await.unwrap();
        assert_eq!(reply, Reply::Log("302 ".to_owned()));
        let received = api.received_requests().await.unwrap();
        assert_eq!(received[0].headers["authorization"], "Bearer canary-token");
        assert!(other.received_requests().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_credential_is_never_sent_to_another_host() {
        let api = server(ResponseTemplate::new(200)).await;
        let other = server(ResponseTemplate::new(200)).await;
        let fault = ask(&api.uri(), vec![get(other.uri())]).await.unwrap_err();
        assert!(fault.message.contains("another host"), "{fault}");
        assert!(other.received_requests().await.unwrap().is_empty());
        // One of the same vendor's is named for it.
        let transport = Transport::new(&api.uri()).unwrap().and(&[&other.uri(), "nonsense"]);
        let mut script = Script([get(other.uri())].into());
        transport.converse(&mut script, Question::Observe, Duration::ZERO).await.unwrap();
        assert_eq!(other.received_requests().await.unwrap()[0].headers["authorization"], "Bearer canary-token");
        other.reset().await;
        // A log on this machine without the credential is fetched, because the provider is on this machine too.
        let log = HttpRequest { credential: None, ..get(other.uri()) };
        ask(&api.uri(), vec![log.clone()]).await.unwrap();
        assert!(!other.received_requests().await.unwrap()[0].headers.contains_key("authorization"));
        let fault = ask("https://api.example.invalid", vec![log]).await.unwrap_err();
        assert!(fault.message.contains("neither https"), "{fault}");
    }

    #[tokio::test]
    async fn open_lines_and_user_names_in_addresses_are_refused() {
        for bad in ["http://api.example.com", "ftp://127.0.0.1", "https://user:pass@api.example.com", "nonsense"] {
            assert_eq!(Transport::new(bad).unwrap_err().kind, FaultKind::Malformed, "{bad}");
        }
    }

    #[tokio::test]
    async fn large_answers_are_refused_and_long_logs_keep_their_end() {
        let body = format!("{}END", "x".repeat(300_000));
        let api = server(ResponseTemplate::new(200).set_body_string(body)).await;
        let fault = ask(&api.uri(), vec![get(api.uri())]).await.unwrap_err();
        assert!(fault.kind == FaultKind::Malformed && fault.message.contains("larger"), "{fault}");
        let log = HttpRequest { limit: BodyLimit::KeepLast(10), ..get(api.uri()) };
        assert_eq!(ask(&api.uri(), vec![log]).await.unwrap(), Reply::Log("200 xxxxxxxEND".to_owned()));
    }

    #[tokio::test]
    async fn no_answer_is_transient_and_says_where_without_the_query() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let fault = ask(&address, vec![get(format!("{address}/x?token=canary-query"))]).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Transient);
        assert!(fault.message.contains("127.0.0.1") && !fault.message.contains("canary"), "{fault}");
    }

    #[tokio::test]
    async fn endless_pages_end() {
        let api = server(ResponseTemplate::new(200)).await;
        let requests = (0..100).map(|_| get(api.uri())).collect();
        let fault = ask(&api.uri(), requests).await.unwrap_err();
        assert!(fault.message.contains("no end of pages"), "{fault}");
    }
}
