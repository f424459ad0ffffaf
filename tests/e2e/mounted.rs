//! A small file system of its own under a sandbox's state directory: in memory, or in a file by a loop device. Needs root.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use afterpush_testkit::sandbox::Said;

/// A mounted file system; unmounted when dropped.
pub(crate) struct Mounted {
    place: PathBuf,
    image: Option<(PathBuf, &'static str)>,
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output().map_err(|error| format!("{program}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{program}: {}", said.trim())) }
}

impl Mounted {
    /// One in memory, with these mount options. An error says why this machine does not allow it.
    pub(crate) fn in_memory(place: &Path, options: &str) -> Result<Self, String> {
        let options = format!("mode=0755,{options}");
        run("mount", &["-t", "tmpfs", "-o", &options, "afterpush-test", &place.to_string_lossy()])?;
        Ok(Self { place: place.to_owned(), image: None })
    }

    /// One in a file, of this kind ("ext4", "xfs").
    pub(crate) fn in_file(place: &Path, image: &Path, kind: &'static str) -> Result<Self, String> {
        // XFS refuses less than 300 MB; the file is sparse.
        let file = fs::File::create(image).map_err(|error| error.to_string())?;
        file.set_len(320 << 20).map_err(|error| error.to_string())?;
        run(&format!("mkfs.{kind}"), &["-q", &image.to_string_lossy()])?;
        let mounted = Self { place: place.to_owned(), image: Some((image.to_owned(), kind)) };
        mounted.mount()?;
        Ok(mounted)
    }

    fn mount(&self) -> Result<(), String> {
        let Some((image, kind)) = &self.image else { return Ok(()) };
        run("mount", &["-t", kind, "-o", "loop", &image.to_string_lossy(), &self.place.to_string_lossy()])
    }

    fn unmount(&self) -> Result<(), String> {
        let began = Instant::now();
        loop {
            match run("umount", &[&self.place.to_string_lossy()]) {
                Err(why) if why.contains("busy") && began.elapsed() < Duration::from_secs(20) => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                done => return done,
            }
        }
    }

    /// The power goes and comes back: what was neither synced nor written back by then is gone.
    pub(crate) fn lose_power(&self) -> Result<(), String> {
        // EXT4_IOC_SHUTDOWN, XFS_IOC_GOINGDOWN: the same number. 2: without writing the journal back.
        const SHUTDOWN: &str = "import fcntl, os, struct, sys\n\
            fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";
        run("python3", &["-c", SHUTDOWN, &self.place.to_string_lossy()])?;
        self.unmount()?;
        self.mount()
    }

    /// Fills it up with one file, or with many empty ones, until nothing more goes in; gives what to remove.
    pub(crate) fn fill(&self, with: Filling) -> PathBuf {
        let filler = self.place.join("filler");
        match with {
            Filling::Bytes => {
                // A byte at a time at the end, so that not even a short line fits on.
                use std::io::Write;
                let mut file = fs::File::create(&filler).unwrap();
                for size in [4096, 1] {
                    while file.write(&vec![b'x'; size]).is_ok() {}
                }
            }
            Filling::Inodes => {
                fs::create_dir(&filler).unwrap();
                for number in 0.. {
                    if fs::File::create(filler.join(number.to_string())).is_err() {
                        break;
                    }
                }
            }
        }
        filler
    }
}

/// Of what a disk runs out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filling {
    Bytes,
    Inodes,
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let said = Said::of(Command::new("umount").arg("--lazy").arg(&self.place));
        if said.code != Some(0) {
            eprintln!("{} is still mounted: {}", self.place.display(), said.stderr);
        }
    }
}
