//! Stoplight Prism, a real mock server, from its package: answers from a vendor's own API description, and tells in a header
//! what of a request does not agree with it.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
};

use crate::{
    managers::{installed, on_node, run},
    sandbox::PATIENCE,
};

const FROM_NPM: &str = "@stoplight/prism-cli@5.14.2";

/// What it says once it can be asked, before its address.
const LISTENING: &str = "Prism is listening on ";

/// A server that is running. It ends with this.
pub struct Prism {
    process: Child,
    url: String,
}

impl Prism {
    /// Starts one for a description, after installing the package below `cache`, unless it is there.
    ///
    /// # Errors
    /// Why it cannot run here: for [`crate::sandbox::skipped`].
    pub fn start(cache: &Path, description: &Path) -> Result<Self, String> {
        let package = installed(cache, "prism", |place| {
            std::fs::write(place.join("package.json"), "{}").expect("a package of our own");
            run("npm", place, &["install", "--no-audit", "--no-fund", "--ignore-scripts", FROM_NPM])
        })?;
        let program = on_node(&package.join("node_modules/@stoplight/prism-cli/dist/index.js"))?;
        // Without `--errors`: that would turn what is wrong with the description's own examples into errors as well, and a
        // request that is wrong is refused in any case.
        let mut process = Command::new(&program[0])
            .args(&program[1..])
            .args(["mock", "--host", "127.0.0.1", "--port", "0"])
            .arg(description)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{} cannot be run: {error}", program[0].display()))?;
        let lines = BufReader::new(process.stdout.take().expect("its standard output was asked for")).lines();
        let (sender, receiver) = mpsc::channel();
        // It reads to the end, so that the server never waits for somebody to read what it logs.
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some((_, url)) = line.split_once(LISTENING) {
                    let _ = sender.send(url.trim().to_owned());
                }
            }
        });
        let mut prism = Self { process, url: String::new() };
        // It reads a large description first, which takes seconds, and on a busy machine many.
        match receiver.recv_timeout(3 * PATIENCE) {
            Ok(url) => prism.url = url,
            Err(_) => panic!("Prism does not serve {}", description.display()),
        }
        Ok(prism)
    }

    /// Where it answers.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Prism {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
