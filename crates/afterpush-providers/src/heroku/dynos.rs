//! Decides what the dynos say about the current release. Pure.

use afterpush_core::text::one_line;

use super::answer::Dyno;

/// What the dynos say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Dynos {
    /// They run the release. One that decides nothing may have crashed.
    Up {
        /// Its name.
        crashed: Option<String>,
    },
    /// They are being exchanged: how far that is.
    Moving(String),
    /// This one has crashed.
    Crashed(String),
}

/// Judges by the web processes, or by all where there are none. An app without any is as it should be: it was scaled to nothing.
pub(super) fn of(dynos: &[Dyno], version: i64) -> Dynos {
    // These run beside the app, each on its own.
    let lasting = || dynos.iter().filter(|it| !matches!(it.kind.as_str(), "run" | "release" | "scheduler"));
    let has_web = lasting().any(|it| it.kind == "web");
    let decides = |it: &&Dyno| !has_web || it.kind == "web";
    let name = |it: &Dyno| one_line(&it.name, 40);
    let crashed = |it: &&Dyno| it.state == "crashed" && it.release.version >= version;
    if let Some(it) = lasting().filter(decides).find(crashed) {
        return Dynos::Crashed(name(it));
    }
    for it in lasting().filter(decides) {
        if it.release.version < version {
            return Dynos::Moving(format!("the dyno {} still runs release v{}", name(it), it.release.version));
        }
        if !matches!(it.state.as_str(), "up" | "idle") {
            return Dynos::Moving(format!("the dyno {} is {}", name(it), one_line(&it.state, 40)));
        }
    }
    Dynos::Up { crashed: lasting().find(crashed).map(name) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn judged(dynos: &[(&str, &str, i64)]) -> Dynos {
        let dyno = |(name, state, version): &(&str, &str, i64)| {
            let kind = name.split('.').next();
            serde_json::from_value(
                json!({"name": name, "type": kind, "state": state, "release": {"id": "r", "version": version}}),
            )
            .unwrap()
        };
        of(&dynos.iter().map(dyno).collect::<Vec<_>>(), 7)
    }

    #[test]
    fn the_web_dynos_decide_and_without_them_all_do() {
        let up = || Dynos::Up { crashed: None };
        let moving = |text: &str| Dynos::Moving(text.to_owned());
        assert_eq!(judged(&[]), up());
        assert_eq!(judged(&[("web.1", "up", 7), ("web.2", "idle", 8)]), up());
        assert_eq!(judged(&[("web.1", "up", 7), ("run.5", "crashed", 7), ("release.1", "up", 6)]), up());
        assert_eq!(judged(&[("web.1", "up", 6)]), moving("the dyno web.1 still runs release v6"));
        for word in ["starting", "down", "thawing"] {
            assert_eq!(judged(&[("web.1", word, 7)]), moving(&format!("the dyno web.1 is {word}")));
        }
        // What crashes of the release before says nothing about this one.
        assert_eq!(judged(&[("web.1", "crashed", 6)]), moving("the dyno web.1 still runs release v6"));
        assert_eq!(judged(&[("web.1", "starting", 7), ("web.2", "crashed", 7)]), Dynos::Crashed("web.2".to_owned()));
        assert_eq!(judged(&[("worker.1", "crashed", 7)]), Dynos::Crashed("worker.1".to_owned()));
        let beside = Dynos::Up { crashed: Some("worker.1".to_owned()) };
        assert_eq!(judged(&[("web.1", "up", 7), ("worker.1", "crashed", 7)]), beside);
    }
}
