//! Reads the token out of `~/.netrc`, where the vendor's command line puts it. Pure: the text is handed in.

use crate::Secret;

/// The password of the API's host.
pub(super) fn token(text: &str) -> Option<Secret> {
    let mut words = text.lines().flat_map(|line| line.split(" #").next().unwrap_or_default().split_whitespace());
    let mut is_ours = false;
    while let Some(word) = words.next() {
        match word {
            "machine" => is_ours = words.next() == Some("api.heroku.com"),
            // From here on every host is meant.
            "default" => return None,
            "password" => match words.next() {
                Some(password) if is_ours => return Some(Secret::new(password)),
                _ => {}
            },
            "login" | "account" | "macdef" => _ = words.next(),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::registry::token_from_login_file;

    #[test]
    fn only_the_password_of_the_api_is_taken() {
        let token = |text: &str| token_from_login_file("heroku", text, None).map(|it| it.expose().to_owned());
        let git = "machine git.heroku.com\n  login a@b.test\n  password other\n";
        let api = "machine api.heroku.com\n  login machine\n  password mine\n";
        assert_eq!(token(&format!("{git}{api}")).as_deref(), Some("mine"));
        assert_eq!(token(&format!("{api}{git}")).as_deref(), Some("mine"));
        assert_eq!(token("machine api.heroku.com login a password mine").as_deref(), Some("mine"));
        for text in ["", git, "machine api.heroku.com login password", "default password any", "machine api.heroku.com"]
        {
            assert_eq!(token(text), None, "{text}");
        }
    }
}
