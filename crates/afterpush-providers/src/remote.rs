//! The repository that was pushed to, as the platforms that build from it know it.

/// A repository, whichever way its address is written: host and path, in lower case.
///
/// The big hosts do not tell letter cases apart. Two repositories elsewhere that differ in nothing else would be found
/// both, and then the person is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Repository {
    host: String,
    path: String,
}

impl Repository {
    /// Reads `https://host/owner/name.git`, `ssh://git@host:22/owner/name` and `git@host:owner/name.git`.
    pub(crate) fn parse(address: &str) -> Option<Self> {
        let address = address.trim();
        if address.contains("://") {
            let url = url::Url::parse(address).ok()?;
            if !matches!(url.scheme(), "https" | "http" | "ssh" | "git") {
                return None;
            }
            return Self::new(url.host_str()?, url.path());
        }
        // As git does: a colon before any slash makes it a host and a path.
        let (host, path) = address.split_once(':')?;
        if host.contains('/') {
            return None;
        }
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        Self::new(host, path)
    }

    /// The repository at a host below a path such as `owner/name`.
    pub(crate) fn new(host: &str, path: &str) -> Option<Self> {
        let path = path.trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        let host = host.to_ascii_lowercase();
        // The hosts' own names for ssh through the port of https.
        let host = match host.as_str() {
            "ssh.github.com" => "github.com".to_owned(),
            "altssh.gitlab.com" => "gitlab.com".to_owned(),
            "altssh.bitbucket.org" => "bitbucket.org".to_owned(),
            _ => host,
        };
        (!host.is_empty() && !path.is_empty()).then(|| Self { host, path: path.to_ascii_lowercase() })
    }

    /// The host, in lower case.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The path without slashes around it and without `.git`, in lower case: `owner/name`.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_way_to_write_a_repository_is_the_same_repository() {
        let expected = Repository::new("github.com", "acme/web-app");
        assert!(expected.is_some());
        for address in [
            "https://github.com/acme/web-app",
            "https://github.com/acme/web-app.git",
            "https://GitHub.com/Acme/Web-App/",
            "http://user@github.com:80/acme/web-app.git",
            "ssh://git@github.com/acme/web-app.git",
            "ssh://git@ssh.github.com:443/acme/web-app.git",
            "git@github.com:acme/web-app.git",
            "git@github.com:/acme/web-app",
            "github.com:acme/web-app",
            " git://github.com/acme/web-app.git\n",
        ] {
            assert_eq!(Repository::parse(address), expected, "{address}");
        }
        for address in
            ["https://github.com/acme/web-app2", "https://gitlab.com/acme/web-app", "git@github.com.evil:acme/web-app"]
        {
            assert_ne!(Repository::parse(address), expected, "{address}");
        }
    }

    #[test]
    fn local_paths_are_no_repository_that_a_platform_could_know() {
        for address in [
            "",
            "/srv/git/web.git",
            "../web",
            "./a:b",
            "file:///srv/git/web.git",
            "https://",
            "git@github.com:",
            "ext::sh -c true",
        ] {
            let repository = Repository::parse(address);
            assert!(repository.as_ref().is_none_or(|it| it.host == "ext"), "{address:?} {repository:?}");
        }
    }
}
