//! Texts that were written to do harm, and texts at random: no panic, no privilege, nothing that acts on a terminal.

use afterpush_core::config::{Config, HealthAddress, combine};
use proptest::prelude::*;

use super::{FULL, refused, repository, target, trusted, untrusted, user, users};

#[test]
fn characters_that_a_reader_does_not_see_are_refused_also_in_the_providers_own_keys() {
    for text in ["a\\u001b[31m", "a\\u202eb", "a\\u200bb", "a\\u0000", "a\\nb"] {
        refused(
            &target(&format!("provider = {{ kind = \"digitalocean\", app = \"{text}\" }}")),
            3,
            &["control or invisible"],
        );
        refused(
            &target(&format!("provider = {{ kind = \"digitalocean\", a = [{{ b = \"{text}\" }}] }}")),
            3,
            &["control or invisible"],
        );
        refused(
            &target(&format!("provider = {{ kind = \"digitalocean\", a.\"{text}\" = 1 }}")),
            3,
            &["control or invisible"],
        );
        refused(
            &target(&format!("provider = {{ kind = \"digitalocean\", \"{text}\" = 1 }}")),
            3,
            &["control or invisible"],
        );
    }
}

#[test]
fn a_message_never_carries_what_could_act_on_a_terminal() {
    for text in [
        "\"\u{9b}31m\" = 1",
        "[policy]\n\"\\u001b\\u202e\" = 1",
        "[[target]]\nname = \"\\u001b[31m\"",
        "x = \"\u{1b}",
        "\u{1b}",
    ] {
        let message = untrusted(text).unwrap_err().to_string();
        assert!(!message.contains(|c: char| c.is_control() || c == '\u{202e}'), "{message:?}");
    }
    let long = format!("[policy]\n{} = 1", "x".repeat(100_000));
    assert!(untrusted(&long).unwrap_err().to_string().len() < 400);
}

#[test]
fn hostile_files_neither_overflow_the_stack_nor_take_long() {
    // On a small stack, as a test's thread or a hook may have it.
    let work = || {
        for unit in ["[", "{a=", "[[", "a.", "a=[", "a={b=", "'''", "[a.", "\"\"\""] {
            for text in [
                unit.repeat(100_000),
                format!("x = {}", unit.repeat(80_000)),
                format!("[[target]]\nprovider = {}", unit.repeat(80_000)),
            ] {
                let text: String = text.chars().take(256 * 1024).collect();
                assert!(untrusted(&text).is_err(), "{unit}");
            }
        }
        let deep = format!("provider = {{ kind = \"digitalocean\", a = {}{} }}", "[".repeat(60), "]".repeat(60));
        assert!(untrusted(&target(&deep)).is_ok());
    };
    std::thread::Builder::new().stack_size(1024 * 1024).spawn(work).unwrap().join().unwrap();
}

#[test]
fn files_and_lists_have_a_largest_size() {
    let comment = |bytes: usize| format!("#{}", "x".repeat(bytes - 1));
    assert!(untrusted(&comment(256 * 1024)).is_ok());
    refused(&comment(256 * 1024 + 1), 1, &["the file has 262145 bytes; expected at most 262144"]);
    let targets = |count: usize| (0..count).map(|i| format!("[[target]]\nname = \"t{i}\"\n")).collect::<String>();
    assert_eq!(untrusted(&targets(100)).unwrap().targets.len(), 100);
    refused(&targets(101), 1, &["target has 101 tables; expected at most 100"]);
}

/// Files near the real ones: the full one with lines taken out, doubled, exchanged, and with values of other keys.
fn nearly_right() -> impl Strategy<Value = String> {
    let values = prop_oneof![
        Just("5".to_owned()),
        Just("\"5s\"".to_owned()),
        Just("true".to_owned()),
        Just("[200]".to_owned()),
        Just("\"https://evil.example/\"".to_owned()),
        Just("\"/path\"".to_owned()),
        Just("{ kind = \"digitalocean\", api_url = \"http://127.0.0.1\" }".to_owned()),
        Just("{ url = \"https://evil.example/\" }".to_owned()),
        Just("{ url_env = \"HOME\" }".to_owned()),
        Just("[provider.digitalocean]\napi_url = \"https://evil.example\"\n#".to_owned()),
        Just("1 \n[[target]]\nname = \"b\"\nhealth = { url = \"https://evil.example/\" }\n#".to_owned()),
        "\\PC{0,12}",
    ];
    let edits = proptest::collection::vec((0usize..40, 0usize..4, 0usize..40, values), 0..6);
    edits.prop_map(|edits| {
        let mut lines: Vec<String> = FULL.lines().map(str::to_owned).collect();
        for (at, what, other, value) in edits {
            let (at, other) = (at % lines.len(), other % lines.len());
            match what {
                0 => lines[at].clear(),
                1 => lines.insert(at, lines[other].clone()),
                2 => lines.swap(at, other),
                _ => {
                    let key = lines[at].split('=').next().unwrap_or_default().to_owned();
                    lines[at] = format!("{key}= {value}");
                }
            }
        }
        lines.join("\n")
    })
}

fn has_privilege(config: &Config) -> bool {
    !config.providers.is_empty()
        || config.targets.iter().any(|target| {
            target.database.is_some()
                || target.health.iter().any(|health| !matches!(health.address, HealthAddress::Path(_)))
                || target.provider.as_ref().is_some_and(|provider| provider.settings.to_string().contains("://"))
        })
}

#[test]
fn the_property_below_looks_at_something() {
    assert!(has_privilege(&trusted(FULL).unwrap()));
    assert!(has_privilege(&users("[provider.digitalocean]\napi_url = \"https://x\"").unwrap()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(noise in "\\PC{0,80}", near in nearly_right(), other in nearly_right(), toml in "[\\[\\]{}a-c.=\"'\n#1 ]{0,60}") {
        for text in [&noise, &near, &toml] {
            for trusted in [false, true] {
                let _ = combine(repository(text), trusted, user(&other));
                let _ = combine(repository(text), trusted, None);
            }
            let _ = combine(None, false, user(text));
        }
    }

    #[test]
    fn an_error_names_a_line_of_the_file(text in nearly_right()) {
        if let Err(error) = untrusted(&text) {
            prop_assert!(error.line >= 1 && error.line <= text.lines().count() + 1, "{error}");
            prop_assert!(!error.to_string().contains(char::is_control), "{error}");
        }
    }

    #[test]
    fn an_untrusted_file_never_has_a_privilege(text in nearly_right()) {
        if let Ok(config) = untrusted(&text) {
            prop_assert!(!has_privilege(&config), "{config:?}");
        }
    }
}
