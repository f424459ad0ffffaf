//! The log of a job of Actions. It is on another host, at an address that is good for a minute.

use afterpush_core::fault::{Fault, FaultKind};
use url::Url;

use super::{GitHub, actions::SCOPE};
use crate::{
    HttpResponse,
    api::log_elsewhere,
    conversation::Line,
    response::{self, Asked},
};

/// Lines that are kept after the last error: what follows it is the cleaning up after the job.
const LINES_AFTER_ERROR: usize = 5;

impl GitHub {
    /// The log of a job, up to its last error.
    pub(super) async fn job_log(&self, line: &Line, job: u64) -> Result<String, Fault> {
        let request = self.get(&["actions", "jobs", &job.to_string(), "logs"], &[])?.for_log();
        let mut response = line.ask(request).await;
        if response.status == 302 {
            let Some(address) = response.header("location").and_then(|address| Url::parse(address).ok()) else {
                return Err(Fault::new(FaultKind::Malformed, "GitHub does not say where the job's log is"));
            };
            response = line.ask(log_elsewhere(&address)).await;
        }
        text(&response)
    }
}

fn text(response: &HttpResponse) -> Result<String, Fault> {
    if response.status != 200 {
        let asked = Asked { vendor: "GitHub", what: "the log of the failed job", scope: SCOPE };
        return Err(response::fault(response, asked));
    }
    let text = String::from_utf8_lossy(&response.body);
    let lines: Vec<&str> = text.lines().map(without_time).collect();
    let end = lines.iter().rposition(|line| line.starts_with("##[error]"));
    let end = end.map_or(lines.len(), |at| (at + 1 + LINES_AFTER_ERROR).min(lines.len()));
    Ok(lines[..end].join("\n"))
}

/// A line without the time that each one begins with, such as `2026-01-02T03:04:05.1234567Z `.
fn without_time(line: &str) -> &str {
    match line.split_once(' ') {
        Some((time, rest)) if time.ends_with('Z') && time.parse::<jiff::Timestamp>().is_ok() => rest,
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::play::answer;

    #[test]
    fn a_log_ends_soon_after_its_last_error_and_its_lines_lose_their_times() {
        let after: String = (0..20).map(|n| format!("2026-01-02T03:04:06.0000000Z cleaning {n}\n")).collect();
        let log =
            format!("\u{feff}2026-01-02T03:04:05.1234567Z first\n2026-01-02T03:04:06.1234567Z ##[error]no\n{after}");
        let text = text(&answer(200, log)).unwrap();
        assert!(text.ends_with("##[error]no\ncleaning 0\ncleaning 1\ncleaning 2\ncleaning 3\ncleaning 4"), "{text}");
        assert_eq!(super::text(&answer(200, "a Z b\nplain")).unwrap(), "a Z b\nplain");
        assert_eq!(super::text(&answer(200, "")).unwrap(), "");
    }
}
