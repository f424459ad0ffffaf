//! A real nginx in a directory of a test's own, on two loopback ports.
//!
//! Invariant: it ends when it is dropped.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::Instant,
};

use crate::sandbox::PATIENCE;

/// The running server.
pub struct Nginx {
    child: Child,
    /// The first is listened on for http; the second is for what the configuration makes of it.
    pub ports: [u16; 2],
}

impl Nginx {
    /// Starts it with these lines of its `http` block, and those that `server` makes of the ports in its `server` block.
    ///
    /// # Errors
    /// Why this machine has none.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(directory: &Path, http: &str, server: impl Fn([u16; 2]) -> String) -> Result<Self, String> {
        let places = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/sbin/nginx"];
        let program = places.into_iter().find(|it| Path::new(it).exists()).ok_or("nginx is not installed")?;
        let place = directory.display();
        let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path \"{place}/{kind}\";\n"))
            .concat();
        // nginx cannot be given port 0, and a port that was free may be taken before it listens.
        for _ in 0..5 {
            let free = || TcpListener::bind("127.0.0.1:0").expect("a free port");
            // Both at once, so that they differ.
            let ports = [free(), free()].map(|listener| listener.local_addr().expect("its address").port());
            let config = format!(
                "daemon off;\nmaster_process off;\npid \"{place}/pid\";\nerror_log \"{place}/error.log\";\nevents {{}}\n\
                 http {{\naccess_log off;\n{paths}{http}\nserver {{\nlisten 127.0.0.1:{};\n{}\n}}\n}}\n",
                ports[0],
                server(ports)
            );
            let file = directory.join("nginx.conf");
            fs::write(&file, config).expect("nginx's configuration");
            let child = Command::new(program)
                .args(["-p".as_ref(), directory.as_os_str(), "-e".as_ref(), "error.log".as_ref(), "-c".as_ref()])
                .arg(&file)
                .stdin(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .map_err(|error| format!("nginx cannot be run: {error}"))?;
            let mut nginx = Self { child, ports };
            let deadline = Instant::now() + PATIENCE;
            while nginx.child.try_wait().is_ok_and(|end| end.is_none()) {
                if TcpStream::connect(("127.0.0.1", ports[0])).is_ok() {
                    return Ok(nginx);
                }
                assert!(Instant::now() < deadline, "nginx does not listen");
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
        }
        panic!("nginx does not start: {}", fs::read_to_string(directory.join("error.log")).unwrap_or_default());
    }

    /// The address for http.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[0])
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
