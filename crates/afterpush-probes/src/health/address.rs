//! Where a health check may go. A repository is not trusted with the inside of this machine's network: only the user's own
//! configuration leads there.
//!
//! Names are judged by the very addresses that the connection then uses, because the judge *is* the client's resolver;
//! addresses in a URL are judged before the request is made. Behind a proxy of the environment (`HTTPS_PROXY`) it is the
//! proxy that looks names up, so that its rules decide for names; written addresses are still judged here.

use std::{
    collections::BTreeSet,
    env,
    error::Error as StdError,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use afterpush_core::{
    config::HealthAddress,
    fault::{Fault, FaultKind},
};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;
use url::{Host, Url};

/// Azure's metadata service, the one such address outside every private range.
const AZURE_METADATA: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

/// Where one probe may go.
#[derive(Debug, Clone)]
pub(super) struct Permission(Arc<Allowed>);

#[derive(Debug)]
struct Allowed {
    /// The host that the user's configuration names, wherever it is.
    host: Option<String>,
    /// http is fine for that host.
    http: bool,
    /// Addresses of this machine are fine.
    loopback: bool,
    /// The hosts of the environment's proxies: the client connects to them, a check never does.
    proxies: BTreeSet<String>,
}

/// By which client a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// By the proxy of the environment, where there is one.
    Environment,
    /// To this machine itself no proxy leads.
    Direct,
}

/// An address was refused by the resolver.
#[derive(Debug, Error)]
#[error("the address {address} of {host} is in a private network; only your own configuration may name such")]
pub(super) struct Refused {
    host: String,
    address: IpAddr,
}

/// [`Refused`] or [`LookupFailed`], as reqwest wants its resolver's errors.
pub(super) type LookupError = Box<dyn StdError + Send + Sync>;

/// A name could not be looked up.
#[derive(Debug, Error)]
#[error("cannot look up {host}")]
pub(super) struct LookupFailed {
    host: String,
    pub(super) source: io::Error,
}

impl Permission {
    pub(super) fn of(address: &HealthAddress, loopback_allowed: bool) -> Self {
        let named = match address {
            HealthAddress::Url { url, user_named: true } | HealthAddress::Grpc { url, user_named: true, .. } => {
                Url::parse(url).ok()
            }
            HealthAddress::Tcp { place, user_named: true } => address_of_place(place),
            _ => None,
        };
        let host = named.as_ref().and_then(host_text);
        let is_local = match address {
            HealthAddress::Path(_) => loopback_allowed,
            _ => named.as_ref().is_some_and(is_loopback),
        };
        Self(Arc::new(Allowed {
            http: named.is_some_and(|url| url.scheme() == "http"),
            loopback: is_local,
            host,
            proxies: proxies(),
        }))
    }

    /// Judges the address of one hop, apart from what its name leads to.
    pub(super) fn check(&self, url: &Url) -> Result<Route, Fault> {
        let refused = |why: String| Err(Fault::new(FaultKind::Malformed, why));
        let Some(host) = host_text(url) else {
            return refused(format!("a {} address is no web address", url.scheme()));
        };
        let is_named = self.0.host.as_deref() == Some(host.as_str());
        let is_local = self.0.loopback && is_loopback(url);
        match url.scheme() {
            "https" => {}
            "http" if is_local || (is_named && self.0.http) => {}
            "http" => {
                return refused(format!(
                    "{host} is not asked over http: only your own configuration may name such an address"
                ));
            }
            other => return refused(format!("a {other} address is no web address")),
        }
        let route = if is_loopback(url) { Route::Direct } else { Route::Environment };
        if is_named || is_local {
            return Ok(route);
        }
        if let Some(address) = literal(url)
            && is_private(address)
        {
            return refused(Refused { host, address }.to_string());
        }
        // The resolver lets the proxy's name through for the sake of the proxy.
        if self.0.proxies.contains(&host) {
            return refused(format!("{host} is a proxy of this machine, not an application"));
        }
        Ok(route)
    }

    /// The addresses, without a port, to which a connection to the URL's host may be made. [`Self::check`] has judged the URL, and
    /// with it an address that is written in it.
    pub(super) async fn addresses(&self, url: &Url) -> Result<Vec<SocketAddr>, LookupError> {
        match literal(url) {
            Some(address) => Ok(vec![SocketAddr::new(address, 0)]),
            None => self.look_up(host_text(url).unwrap_or_default()).await,
        }
    }

    async fn look_up(&self, host: String) -> Result<Vec<SocketAddr>, LookupError> {
        let found = match tokio::net::lookup_host((host.clone(), 0)).await {
            Ok(found) => found,
            Err(source) => return Err(LookupError::from(LookupFailed { host, source })),
        };
        let (admitted, private): (Vec<SocketAddr>, Vec<SocketAddr>) =
            found.partition(|address| self.admits(&host, address.ip()));
        match private.first() {
            Some(address) if admitted.is_empty() => Err(LookupError::from(Refused { host, address: address.ip() })),
            _ => Ok(admitted),
        }
    }

    fn admits(&self, host: &str, address: IpAddr) -> bool {
        let is_exempt = self.0.host.as_deref() == Some(host) || self.0.proxies.contains(host);
        is_exempt || !is_private(address) || (self.0.loopback && is_local_name(host) && address.is_loopback())
    }
}

/// Looks names up and keeps only the addresses that a check may go to.
#[derive(Debug)]
pub(super) struct Guard(Permission);

impl Guard {
    pub(super) fn new(permission: Permission) -> Self {
        Self(permission)
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let permission = self.0.clone();
        let host = normal(name.as_str());
        Box::pin(async move { Ok(Box::new(permission.look_up(host).await?.into_iter()) as Addrs) })
    }
}

/// Stands for a `host:port` where one is judged like the address of a site: what carries nothing may be unencrypted.
pub(super) fn address_of_place(place: &str) -> Option<Url> {
    Url::parse(&format!("https://{place}")).ok()
}

/// The hosts of the proxies that reqwest takes from the environment.
fn proxies() -> BTreeSet<String> {
    ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]
        .iter()
        .filter_map(|name| env::var(name).ok())
        .filter_map(|proxy| {
            let whole = if proxy.contains("://") { proxy } else { format!("http://{proxy}") };
            host_text(&Url::parse(&whole).ok()?)
        })
        .collect()
}

fn host_text(url: &Url) -> Option<String> {
    url.host_str().filter(|host| !host.is_empty()).map(normal)
}

fn normal(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

fn is_local_name(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost")
}

fn is_loopback(url: &Url) -> bool {
    match literal(url) {
        Some(address) => address.to_canonical().is_loopback(),
        None => host_text(url).is_some_and(|host| is_local_name(&host)),
    }
}

/// Tells whether an address is not one of the public internet: this machine, a private or shared network, a link, a
/// metadata service, a group, or one of these inside an IPv6 address.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_private_v4(address),
        IpAddr::V6(address) => is_private_v6(address),
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || a == 0
        || a >= 240
        // Shared by a carrier's customers (RFC 6598), protocol assignments (RFC 6890), benchmarks (RFC 2544).
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b))
        || address == AZURE_METADATA
}

fn is_private_v6(address: Ipv6Addr) -> bool {
    let [s0, s1, s2, s3, s4, s5, s6, s7] = address.segments();
    let embedded = |high: u16, low: u16| is_private_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match [s0, s1, s2, s3, s4, s5] {
        // Mapped (::ffff:a.b.c.d), compatible (::a.b.c.d, with :: and ::1), translated (64:ff9b::a.b.c.d).
        [0, 0, 0, 0, 0, 0xffff] | [0, 0, 0, 0, 0, 0] | [0x64, 0xff9b, 0, 0, 0, 0] => embedded(s6, s7),
        // 6to4, with the IPv4 address behind the prefix.
        [0x2002, high, low, ..] => embedded(high, low),
        // A network's own translation prefix (RFC 8215), and Teredo, which tunnels to any IPv4 address.
        [0x64, 0xff9b, 1, ..] | [0x2001, 0, ..] => true,
        _ => {
            // Unique local, link-local, the old site-local, multicast.
            s0 & 0xfe00 == 0xfc00 || s0 & 0xff80 == 0xfe80 || s0 & 0xff00 == 0xff00
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn addresses_inside_are_told_from_public_ones() {
        for inside in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.9.9.9",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::127.0.0.1",
            "64:ff9b:1::1",
            "2001::1",
            "2002:7f00:1::",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(is_private(inside.parse().unwrap()), "{inside}");
        }
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "126.255.255.255",
            "172.32.0.1",
            "192.0.1.1",
            "192.167.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "::ffff:1.1.1.1",
            "64:ff9b::8.8.8.8",
            "2002:808:808::",
        ] {
            assert!(!is_private(public.parse().unwrap()), "{public}");
        }
    }

    fn permission(url: &str, user_named: bool) -> Permission {
        // That a deployment may be on this machine says nothing about a whole address.
        Permission::of(&HealthAddress::Url { url: url.to_owned(), user_named }, true)
    }

    fn allows(permission: &Permission, url: &str) -> bool {
        permission.check(&Url::parse(url).unwrap()).is_ok()
    }

    #[test]
    fn a_stranger_leads_to_public_https_addresses_only() {
        let permission = permission("https://app.example/health", false);
        for fine in ["https://app.example/", "https://other.example:8443/", "https://1.1.1.1/"] {
            assert!(allows(&permission, fine), "{fine}");
        }
        for refused in [
            "http://app.example/",
            "https://127.0.0.1/",
            "https://0x7f.1/",
            "https://2130706433/",
            "https://10.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:7f00:1]/",
            "https://169.254.169.254/latest/meta-data",
            "file:///etc/passwd",
            "http://localhost/",
            "ftp://app.example/",
            "data:text/plain,x",
        ] {
            assert!(!allows(&permission, refused), "{refused}");
        }
    }

    #[test]
    fn the_user_may_name_one_private_host_and_its_permission_does_not_spread() {
        let lan = permission("http://10.0.0.5:8080/health", true);
        assert!(allows(&lan, "http://10.0.0.5:9090/other"));
        for refused in ["http://10.0.0.6/", "https://10.0.0.6/", "https://127.0.0.1/", "http://app.example/"] {
            assert!(!allows(&lan, refused), "{refused}");
        }
        let secure = permission("https://app.example/health", true);
        assert!(!allows(&secure, "http://app.example/health"), "https is not given up");
        let local = permission("http://localhost:3000/health", true);
        assert!(allows(&local, "http://127.0.0.1:3000/") && allows(&local, "http://[::1]:3000/"));
        assert!(!allows(&local, "http://10.0.0.5/"));
    }

    #[test]
    fn names_are_judged_by_what_they_lead_to() {
        let loopback: IpAddr = "127.0.0.1".parse().unwrap();
        let lan: IpAddr = "10.0.0.5".parse().unwrap();
        let public: IpAddr = "1.1.1.1".parse().unwrap();
        let stranger = permission("https://app.example/", false);
        assert!(stranger.admits("app.example", public));
        assert!(!stranger.admits("app.example", loopback) && !stranger.admits("app.example", lan));
        assert!(!stranger.admits("localhost", loopback));
        let named = permission("https://intra.example/", true);
        assert!(named.admits("intra.example", lan) && !named.admits("other.example", lan));
        let local = Permission::of(&HealthAddress::Path("/health".to_owned()), true);
        assert!(allows(&local, "http://127.0.0.1:8080/") && !allows(&local, "http://app.example/"));
        assert!(local.admits("localhost", loopback));
        assert!(!local.admits("app.example", loopback), "a name that a stranger points at this machine");
    }

    #[test]
    fn a_host_has_one_spelling() {
        let named = permission("https://Intra.Example./", true);
        assert!(named.admits(&normal("intra.example."), "10.0.0.5".parse().unwrap()));
    }
}
