//! How a world begins: everything that is bad about it, drawn from its seed.

use std::{
    cell::{Cell, RefCell},
    path::Path,
    rc::Rc,
    time::Duration,
};

use afterpush_core::policy::Policy;
use afterpush_store::Environment;
use tokio::{sync::Notify, time::Instant};

use super::{Actor, Chaos, MAIN, RELEASE, World};
use crate::{
    around::Counter,
    dice::Dice,
    disk::{Disk, Weather},
    forge::{Forge, seconds},
    vendor::App,
};

impl World {
    pub(super) fn new(seed: u64, root: &Path) -> Rc<Self> {
        let mut dice = Dice::new(seed);
        let limit = dice.one_of(&[1, 2, 3, 32]);
        let policy = Policy {
            registration_deadline: seconds(dice.one_of(&[60, 120, 300])),
            deadline: seconds(dice.one_of(&[150, 300, 600, 1800])),
            ..Policy::default()
        };
        let calm_at = seconds(dice.one_of(&[240, 420, 600]));
        let chaos = Chaos {
            calm_at,
            trouble: dice.one_of(&[0.0, 0.02, 0.1, 0.3]),
            deaths: dice.chance(0.6),
            interrupts: dice.chance(0.5),
        };
        let span = |dice: &mut Dice, longest: u64| {
            let from = dice.millis(1_000, u64::try_from(calm_at.as_millis()).unwrap_or(1_000));
            (from, (from + dice.millis(500, longest)).min(calm_at))
        };
        let apps: Vec<App> = (0..1 + dice.index(3))
            .map(|number| App {
                name: format!("app{number}"),
                ref_name: if number == 0 || dice.chance(0.6) { MAIN } else { RELEASE },
                has_provider: dice.chance(0.9),
                has_database: dice.chance(0.3),
                has_health: dice.chance(0.5),
                tells_serving: dice.chance(0.7),
                lags: dice.one_of(&[0, 0, 3_000, 40_000].map(Duration::from_millis)),
                sick: dice.chance(0.15).then(|| span(&mut dice, 120_000)),
                refused: dice.chance(0.05).then(|| span(&mut dice, 30_000)),
                denials: 0,
                deployments: Vec::new(),
                serving: Vec::new(),
            })
            .collect();
        let mut disk = Disk::default();
        if dice.chance(0.35) {
            for _ in 0..1 + dice.index(3) {
                let weather = dice.one_of(&[Weather::Full, Weather::ReadOnly, Weather::Flaky, Weather::Flaky]);
                disk.weather.push((span(&mut dice, 60_000), weather));
            }
        }
        let config: String = apps.iter().map(target).collect();
        let clones = 1 + dice.index(2);
        let forge = Forge::new(root, clones, &config);
        let user = root.join("config.toml");
        std::fs::write(&user, format!("[policy]\nmonitors = {limit}\n")).unwrap();
        let environment =
            Environment { state_dir: Some(root.join("state")), config: Some(user), ..Environment::default() };
        Rc::new(Self {
            root: root.to_owned(),
            environment,
            policy,
            limit,
            dice: RefCell::new(dice),
            forge: RefCell::new(forge),
            apps: RefCell::new(apps),
            disk: RefCell::new(disk),
            oracle: RefCell::default(),
            pushers: RefCell::default(),
            shared: RefCell::default(),
            requests: RefCell::default(),
            names: Counter::default(),
            begun: RefCell::default(),
            agenda: RefCell::default(),
            planned: Counter::default(),
            news: Notify::new(),
            lives: Counter::default(),
            chaos,
            began: Instant::now(),
            suspended: Cell::default(),
            booted: Cell::default(),
            boots: Cell::new(1),
            wall_offset: Cell::default(),
            actor: Cell::new(Actor::Nobody),
            depth: Cell::default(),
            lines: RefCell::default(),
            hash: Cell::new(0xcbf2_9ce4_8422_2325),
            steps: Cell::default(),
            looks: Cell::default(),
        })
    }
}

fn target(app: &App) -> String {
    let branch = app.ref_name.trim_start_matches("refs/heads/");
    let name = &app.name;
    format!(
        "[[target]]\nname = \"{name}\"\nbranch = \"{branch}\"\nprovider = {{ kind = \"digitalocean\", app = \"{name}\" }}\n"
    )
}
