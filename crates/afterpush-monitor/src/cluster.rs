//! The connection to a Kubernetes cluster, as the user's kubeconfig describes it: its address, its certificates, and the
//! credential, for which a program may have to be run.
//!
//! Invariants: the credential goes to the cluster's own address only; a text of the kubeconfig never reaches a fault, but for the
//! names of contexts and files.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use afterpush_core::fault::{Fault, FaultKind};
use afterpush_providers::{
    Credential, HttpRequest, HttpResponse, ProgramRequest, Provider, Question, Reply, Secret, Turn,
};
use afterpush_store::Environment;
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use kube_client::config::{
    AuthInfo, Config, ExecConfig, ExecInteractiveMode, KubeConfigOptions, Kubeconfig, KubeconfigError,
};
use reqwest::{Certificate, Identity, Proxy};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use url::Url;

use crate::{
    program::Programs,
    secrets::PushEnvironment,
    transport::{Carried, Limits, Transport, cannot_carry, client, converse},
};

/// How long a credential plugin may take: some ask a cloud's servers.
const PLUGIN_LIMIT: Duration = Duration::from_secs(15);
const LARGEST_CREDENTIAL: usize = 256 * 1024;

/// A cluster that is reached by the user's kubeconfig.
pub struct Cluster {
    /// The kubeconfig's files; those that are not there do not count.
    files: Vec<PathBuf>,
    context: Option<String>,
    programs: Programs,
    limits: Limits,
    /// Made at the first question, and again when the credential has run out.
    connection: Mutex<Option<Connection>>,
}

struct Connection {
    transport: Transport,
    address: Url,
    credential: Option<Credential>,
    /// On behalf of whom, where the kubeconfig says so.
    headers: Vec<(&'static str, String)>,
    /// When a plugin's credential runs out.
    expires_at: Option<Timestamp>,
}

impl Cluster {
    /// The cluster of a context, or of the current one, in the files of `KUBECONFIG` or in `~/.kube/config`.
    #[must_use]
    pub fn new(context: Option<String>, push: &PushEnvironment, environment: &Environment) -> Self {
        let named = push.get("KUBECONFIG");
        let named = named.iter().flat_map(|files| std::env::split_paths(files.expose()));
        let mut files: Vec<PathBuf> = named.filter(|path| path.is_absolute()).collect();
        if files.is_empty() {
            files.extend(environment.home.as_ref().map(|home| home.join(".kube/config")));
        }
        let programs = Programs::for_credentials(push);
        Self { files, context, programs, limits: Limits::default(), connection: Mutex::new(None) }
    }

    /// The same with other limits of time.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The files of the kubeconfig that there are.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(PathBuf::as_path).filter(|file| file.exists())
    }

    /// Asks a provider a question, to the reply or a fault.
    ///
    /// # Errors
    /// The provider's own fault, the kubeconfig's, or the transport's.
    pub async fn converse(&self, provider: &mut dyn Provider, question: Question) -> Result<Reply, Fault> {
        converse(provider, question, ("the cluster", self.limits.question), async |turn| match turn {
            Turn::Ask(request) => Ok(Carried::Answered(self.send(request).await?)),
            _ => Err(cannot_carry()),
        })
        .await
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Fault> {
        let mut connection = self.connection.lock().await;
        let is_stale = |it: &Connection| it.expires_at.is_some_and(|at| at <= Timestamp::now());
        let mut is_fresh = false;
        let current = match connection.take().filter(|it| !is_stale(it)) {
            Some(current) => current,
            None => {
                is_fresh = true;
                self.connect().await?
            }
        };
        let response = current.send(request.clone()).await?;
        // A token may have been replaced since: in its file, or at the plugin.
        if response.status != 401 || is_fresh {
            *connection = Some(current);
            return Ok(response);
        }
        let renewed = self.connect().await?;
        let response = renewed.send(request).await?;
        *connection = Some(renewed);
        Ok(response)
    }

    async fn connect(&self) -> Result<Connection, Fault> {
        let kubeconfig = self.read()?;
        let options = KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        let proxy = proxy_of(&kubeconfig, self.context.as_deref());
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(refused)?;
        let address = Url::parse(&config.cluster_url.to_string()).map_err(|_| wrong("its server is no address"))?;
        let user = &config.auth_info;
        if user.auth_provider.is_some() {
            return Err(wrong(
                "its user has an auth-provider, which Kubernetes has given up; use a credential plugin (exec)",
            ));
        }
        let mut credential = credential(user)?;
        let mut identity = identity(user)?;
        let mut expires_at = None;
        if let Some(exec) = &user.exec {
            let status = self.run_plugin(exec).await?;
            credential = status.token.as_deref().map(|token| Credential::Bearer(Secret::new(token))).or(credential);
            if let (Some(certificate), Some(key)) = (&status.certificate, &status.key) {
                identity = Some(format!("{certificate}\n{key}").into_bytes());
            }
            expires_at = status.expires_at;
        }
        let mut builder = client(self.limits, &address).tls_danger_accept_invalid_certs(config.accept_invalid_certs);
        if let Some(certificates) = &config.root_cert {
            let read = |der: &Vec<u8>| {
                Certificate::from_der(der).map_err(|_| wrong("its certificate authority is no certificate"))
            };
            builder = builder.tls_certs_only(certificates.iter().map(read).collect::<Result<Vec<_>, _>>()?);
        }
        if let Some(pem) = identity {
            let identity =
                Identity::from_pem(&pem).map_err(|_| wrong("its client certificate cannot be used with its key"))?;
            builder = builder.identity(identity);
        }
        if let Some(proxy) = proxy {
            // A proxy that the client does not know would be left out without a word.
            let proxy = Some(proxy).filter(|url| url.starts_with("http://") || url.starts_with("https://"));
            let proxy = proxy.and_then(|url| Proxy::all(url).ok());
            builder = builder.proxy(proxy.ok_or_else(|| wrong("its proxy-url is not http:// or https://"))?);
        }
        let mut asked = address.clone();
        if let Some(name) = &config.tls_server_name {
            // The name in the certificate stands for the address that the server really has.
            let found = resolve(&address).await?;
            builder = builder.resolve_to_addrs(name, &found);
            asked.set_host(Some(name)).map_err(|_| wrong("its tls-server-name is no name of a host"))?;
        }
        let headers = on_behalf_of(user)?;
        Ok(Connection {
            transport: Transport::with(builder, asked.clone(), self.limits)?,
            address: asked,
            credential,
            headers,
            expires_at,
        })
    }

    /// The kubeconfig: all files that there are, the first one's say counting.
    fn read(&self) -> Result<Kubeconfig, Fault> {
        let mut merged: Option<Kubeconfig> = None;
        for file in self.files() {
            let read = Kubeconfig::read_from(file).map_err(refused)?;
            merged = Some(match merged {
                None => read,
                Some(merged) => merged.merge(read).map_err(refused)?,
            });
        }
        merged.ok_or_else(|| {
            let files: Vec<String> = self.files.iter().map(|file| file.display().to_string()).collect();
            let text = format!("no kubeconfig at {}; set KUBECONFIG to a whole path, for the push", files.join(" or "));
            Fault::new(FaultKind::Unauthorized, text)
        })
    }

    /// Runs a credential plugin by the protocol of `client.authentication.k8s.io`. Nobody is there to answer its questions.
    async fn run_plugin(&self, exec: &ExecConfig) -> Result<PluginStatus, Fault> {
        let command = exec.command.clone().ok_or_else(|| wrong("its credential plugin names no command"))?;
        if exec.interactive_mode == Some(ExecInteractiveMode::Always) {
            return Err(wrong("its credential plugin wants to ask somebody, and nobody is there"));
        }
        let cluster = exec.cluster.as_ref().and_then(|cluster| serde_json::to_value(cluster).ok());
        let mut spec = json!({"interactive": false});
        if let (true, Some(cluster)) = (exec.provide_cluster_info, cluster) {
            spec["cluster"] = cluster;
        }
        let info = json!({"apiVersion": exec.api_version, "kind": "ExecCredential", "spec": spec});
        let variable = |entry: &std::collections::HashMap<String, String>| {
            Some((entry.get("name")?.clone(), entry.get("value")?.clone()))
        };
        let variables = exec.env.iter().flatten().filter_map(variable);
        let request = ProgramRequest {
            argv: std::iter::once(command.clone()).chain(exec.args.iter().flatten().cloned()).collect(),
            environment: vec![("KUBERNETES_EXEC_INFO", info.to_string())],
            time_limit: PLUGIN_LIMIT,
            most_output: LARGEST_CREDENTIAL,
        };
        let end = self.programs.and(variables).run(&request).await?;
        if end.code != Some(0) {
            let how = end.code.map_or_else(|| "a signal".to_owned(), |code| format!("the exit code {code}"));
            let text = format!("the kubeconfig's credential plugin {command} ended with {how}: {}", end.complaint);
            return Err(Fault::new(FaultKind::Transient, text));
        }
        let read: Result<PluginAnswer, _> = serde_json::from_slice(&end.output);
        let answer = read.map_err(|_| wrong("its credential plugin printed no ExecCredential"))?;
        let is_named = answer.api_version == exec.api_version.as_deref().map_or(Value::Null, Value::from);
        if !is_named || (answer.status.token.is_none() && answer.status.certificate.is_none()) {
            return Err(wrong("its credential plugin printed no credential of the version that was asked for"));
        }
        Ok(answer.status)
    }
}

impl Connection {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Fault> {
        let asked = Url::parse(&request.url).map_err(|_| wrong("a path of the request is no path"))?;
        // Clusters behind a gateway have a path of their own.
        let mut url = self.address.clone();
        url.set_path(&format!("{}{}", self.address.path().trim_end_matches('/'), asked.path()));
        url.set_query(asked.query());
        let headers = request.headers.into_iter().chain(self.headers.iter().cloned()).collect();
        self.transport
            .send(HttpRequest { url: url.into(), credential: self.credential.clone(), headers, ..request })
            .await
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PluginAnswer {
    api_version: Value,
    status: PluginStatus,
}

#[derive(Deserialize)]
struct PluginStatus {
    token: Option<String>,
    #[serde(rename = "clientCertificateData")]
    certificate: Option<String>,
    #[serde(rename = "clientKeyData")]
    key: Option<String>,
    #[serde(rename = "expirationTimestamp")]
    expires_at: Option<Timestamp>,
}

/// The token, a file's before one that stands in the kubeconfig itself, or name and password.
fn credential(user: &AuthInfo) -> Result<Option<Credential>, Fault> {
    if let Some(file) = &user.token_file {
        let read = |error| wrong(&format!("its token file {file} cannot be read: {error}"));
        return Ok(Some(Credential::Bearer(Secret::new(&std::fs::read_to_string(file).map_err(read)?))));
    }
    if let Some(token) = &user.token {
        return Ok(Some(Credential::Bearer(Secret::new(token.expose_secret()))));
    }
    let (Some(name), Some(password)) = (&user.username, &user.password) else { return Ok(None) };
    let basic = STANDARD.encode(format!("{name}:{}", password.expose_secret()));
    Ok(Some(Credential::Header("authorization", Secret::new(&format!("Basic {basic}")))))
}

/// The client certificate with its key, in PEM.
fn identity(user: &AuthInfo) -> Result<Option<Vec<u8>>, Fault> {
    let certificate =
        pem("client certificate", user.client_certificate_data.as_deref(), user.client_certificate.as_deref())?;
    let key =
        pem("client key", user.client_key_data.as_ref().map(ExposeSecret::expose_secret), user.client_key.as_deref())?;
    Ok(certificate.zip(key).map(|(certificate, key)| [certificate, b"\n".to_vec(), key].concat()))
}

fn pem(what: &str, data: Option<&str>, file: Option<&str>) -> Result<Option<Vec<u8>>, Fault> {
    match (data, file) {
        (Some(data), _) => STANDARD.decode(data).map(Some).map_err(|_| wrong(&format!("its {what} is not base64"))),
        (None, Some(file)) => {
            std::fs::read(file).map(Some).map_err(|error| wrong(&format!("its {what} {file} cannot be read: {error}")))
        }
        (None, None) => Ok(None),
    }
}

fn on_behalf_of(user: &AuthInfo) -> Result<Vec<(&'static str, String)>, Fault> {
    if user.impersonate_user_extra.as_ref().is_some_and(|extra| !extra.is_empty()) {
        return Err(wrong("its user has as-user-extra, which afterpush does not pass on"));
    }
    let one = [("impersonate-user", &user.impersonate), ("impersonate-uid", &user.impersonate_uid)];
    let one = one.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
    let groups = user.impersonate_groups.iter().flatten().map(|group| ("impersonate-group", group.clone()));
    Ok(one.chain(groups).collect())
}

/// The cluster's own proxy; the proxies of the environment are the client's affair.
fn proxy_of(kubeconfig: &Kubeconfig, context: Option<&str>) -> Option<String> {
    let name = context.or(kubeconfig.current_context.as_deref())?;
    let context = kubeconfig.contexts.iter().find(|it| it.name == name)?.context.as_ref()?;
    let cluster = kubeconfig.clusters.iter().find(|it| it.name == context.cluster)?.cluster.as_ref()?;
    cluster.proxy_url.clone().filter(|url| !url.is_empty())
}

async fn resolve(address: &Url) -> Result<Vec<SocketAddr>, Fault> {
    let (host, port) = (address.host_str().unwrap_or_default(), address.port_or_known_default().unwrap_or(443));
    let found = tokio::net::lookup_host((host.trim_matches(['[', ']']), port)).await;
    let found: Vec<SocketAddr> = found.map(Iterator::collect).unwrap_or_default();
    if found.is_empty() {
        return Err(Fault::new(FaultKind::Transient, format!("the cluster's host {host} is not known")));
    }
    Ok(found)
}

fn wrong(problem: &str) -> Fault {
    Fault::new(FaultKind::Malformed, format!("the kubeconfig cannot be used: {problem}"))
}

/// The parser's own texts quote lines of the file, so they are not told.
fn refused(error: KubeconfigError) -> Fault {
    match error {
        KubeconfigError::CurrentContextNotSet => wrong("it has no current context; set context in target.provider"),
        KubeconfigError::LoadContext(name) => wrong(&format!("it has no context {name:?}")),
        KubeconfigError::LoadClusterOfContext(name) => wrong(&format!("it has no cluster {name:?}")),
        KubeconfigError::MissingClusterUrl => wrong("its cluster has no server"),
        KubeconfigError::ReadConfig(error, path) => wrong(&format!("{} cannot be read: {error}", path.display())),
        KubeconfigError::Parse(_) => wrong("it is not the YAML that it should be"),
        KubeconfigError::LoadCertificateAuthority(_) | KubeconfigError::ParseCertificates(_) => {
            wrong("its certificate authority cannot be read")
        }
        _ => wrong("something in it does not fit together"),
    }
}
