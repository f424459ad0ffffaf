//! Prints the figures of the documentation, each beside a baseline of the same run. Started by `tests/bench`.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod crowd;
mod database;
mod hang;
mod health;
mod limits;
mod lines;
mod load;
mod managers;
mod memory;
mod polling;
mod process;
mod races;
mod sharing;
mod stored;
mod timing;

/// Prints one figure; the numbers that stand behind its name on the command line say how large.
type Print = fn(&[usize]);

const FIGURES: [(&str, Print); 14] = [
    ("hook", managers::hook),
    ("managers", managers::managers),
    ("many", managers::many),
    ("hang", hang::hang),
    ("races", races::races),
    ("health", health::health),
    ("database", database::database),
    ("load", load::load),
    ("stored", stored::stored),
    ("memory", memory::memory),
    ("polling", polling::polling),
    ("sharing", sharing::sharing),
    ("limits", limits::limits),
    ("lines", lines::lines),
];

/// A push of main goes to one simulated app.
const TARGET: &str =
    "[[target]]\nname = \"web\"\nbranch = \"main\"\nprovider = { kind = \"digitalocean\", app = \"web\" }\n";

fn main() {
    // `cargo bench -- <word>` prints only the figures whose name holds the word.
    let words: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let numbers: Vec<usize> = words.iter().filter_map(|word| word.parse().ok()).collect();
    let wanted = words.iter().find(|word| word.parse::<usize>().is_err()).map_or("", String::as_str);
    for (name, print) in FIGURES {
        if name.contains(wanted) {
            println!("\n== {name}");
            print(&numbers);
        }
    }
}
