//! Fills the address in: `https://ci.example.com/{owner}/{name}/deployments?sha={commit}`.

use url::Url;

use crate::{Setup, remote::Repository};

/// The address with each placeholder filled in as one escaped piece of text.
///
/// # Errors
/// What is wrong with the template, or with what it asks for, for people.
pub(super) fn fill(template: &str, setup: &Setup) -> Result<Url, String> {
    let Some((scheme, after)) = template.split_once("://") else {
        return Err("must be an address such as https://host/path?commit={commit}".to_owned());
    };
    // Whatever a repository's own files say, they must not choose the host.
    let end = after.find(['/', '?', '#']).unwrap_or(after.len());
    if scheme.contains('{') || after[..end].contains('{') {
        return Err("must have its placeholders after the host".to_owned());
    }
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or("has a { without its }")?;
        let value = value(name, setup)?;
        if value.is_empty() || value == "." || value == ".." {
            return Err(format!("has {{{name}}}, which cannot be filled in for this push"));
        }
        filled.push_str(before);
        filled.extend(
            url::form_urlencoded::byte_serialize(value.as_bytes()).map(|it| if it == "+" { "%20" } else { it }),
        );
        rest = after;
    }
    filled.push_str(rest);
    let url = Url::parse(&filled).map_err(|error| format!("is not an address: {error}"))?;
    let sound = matches!(url.scheme(), "https" | "http") && url.username().is_empty() && url.password().is_none();
    if sound {
        Ok(url)
    } else {
        Err("must be https (or http on this machine), without user name and password".to_owned())
    }
}

fn value(name: &str, setup: &Setup) -> Result<String, String> {
    let repository = Repository::parse(&setup.remote_url);
    let path = repository.as_ref().map(Repository::path).unwrap_or_default();
    let (owner, last) = path.rsplit_once('/').unwrap_or(("", path));
    Ok(match name {
        "commit" => setup.commit.as_str(),
        "short" => setup.commit.short(),
        "ref" => setup.ref_name.as_str(),
        "branch" => setup.ref_name.branch().unwrap_or_default(),
        "repository" => path,
        "owner" => owner,
        "name" => last,
        _ => {
            return Err(format!(
                "has {{{name}}}; known are {{commit}}, {{short}}, {{ref}}, {{branch}}, {{repository}}, {{owner}} and {{name}}"
            ));
        }
    }
    .to_owned())
}
