//! A network of a test's own: interfaces, addresses and names that the machine does not have, and that come and go. Nothing of the
//! machine changes.

use std::{fs, path::Path, process::Command, thread};

use afterpush_testkit::sandbox::skipped;
use nix::sched::{CloneFlags, unshare};

/// The place in which the processes of one test are, with everything that they start.
pub(crate) struct Network(());

/// Runs a test in a network that has nothing but loopback. Namespaces are a thread's, so it gets one. Skipped, loudly, for all but
/// root.
pub(crate) fn in_own(test: &str, body: impl FnOnce(&Network) + Send + 'static) {
    if !nix::unistd::geteuid().is_root() {
        return skipped(test, "only root can make a network of its own");
    }
    let name = test.to_owned();
    let running = thread::spawn(move || {
        let entered = unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS);
        if entered.is_err() || !is_done(&["mount", "--make-rprivate", "/"]) {
            return skipped(&name, "this machine allows no network namespaces");
        }
        if !is_done(&["ip", "link", "set", "lo", "up"]) {
            return skipped(&name, "ip(8) is not installed");
        }
        body(&Network(()));
    });
    if let Err(panic) = running.join() {
        std::panic::resume_unwind(panic);
    }
}

impl Network {
    /// Gives the network an address, such as `198.51.100.7/32`.
    pub(crate) fn add(&self, address: &str) {
        // Without the check for duplicates an IPv6 address can be used at once.
        let add: &[&str] = &["ip", "addr", "add", address, "dev", "lo"];
        let more: &[&str] = if address.contains(':') { &["nodad"] } else { &[] };
        assert!(is_done(&[add, more].concat()), "{address}");
    }

    /// From now on names mean what stands in these files, and no other; the files may be changed later.
    pub(crate) fn names(&self, directory: &Path, hosts: &str) {
        for (name, text) in [("hosts", hosts), ("resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")]
        {
            let file = directory.join(name);
            fs::write(&file, text).unwrap();
            let place = format!("/etc/{name}");
            assert!(is_done(&["mount", "--bind", file.to_str().unwrap(), &place]), "{place}");
        }
    }
}

fn is_done(words: &[&str]) -> bool {
    Command::new(words[0]).args(&words[1..]).output().is_ok_and(|output| output.status.success())
}
