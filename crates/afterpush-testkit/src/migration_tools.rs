//! Real migration tools, installed from their packages: each makes migrations in a work tree and applies them to a database.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sqlx::{Connection, MySqlConnection, PgConnection, migrate::Migrator};
use tokio::runtime::Builder;

use crate::{
    databases::Live,
    managers::{installed, run},
    sandbox::{Said, Sandbox, skipped},
};

const FROM_NPM: [&str; 9] = [
    "drizzle-orm@0.44",
    "drizzle-kit@0.31",
    "@libsql/client@0.15",
    "dbmate@2",
    "typeorm@0.3",
    "sql.js@1",
    "knex@3",
    "pg@8",
    "mysql2@3",
];
const FROM_PYPI: [&str; 4] = ["django>=5,<6", "alembic>=1.13,<2", "psycopg[binary]>=3.2,<4", "pymysql>=1.1,<2"];

/// What the tools' own programs leave to the project: each reads `KIND`, and `DB` or `URL`.
const OURS: [(&str, &str); 3] = [
    (
        "drizzle.mjs",
        "const { KIND, DB, URL } = process.env;\n\
         const at = { sqlite: ['libsql', { connection: { url: 'file:' + DB } }], postgres: ['node-postgres', URL], \
         mysql: ['mysql2', URL] };\n\
         const [driver, address] = at[KIND];\n\
         const { drizzle } = await import('drizzle-orm/' + driver);\n\
         const { migrate } = await import('drizzle-orm/' + driver + '/migrator');\n\
         await migrate(drizzle(address), { migrationsFolder: 'drizzle' });\n\
         process.exit(0);\n",
    ),
    (
        "typeorm.cjs",
        "const { DataSource } = require('typeorm');\n\
         const { KIND, DB, URL } = process.env;\n\
         const at = KIND == 'sqlite' ? { type: 'sqljs', location: DB, autoSave: true } : { type: KIND, url: URL };\n\
         const source = new DataSource({ ...at, migrations: [process.cwd() + '/src/migrations/*.js'] });\n\
         source.initialize().then(() => source.runMigrations()).then(() => source.destroy());\n",
    ),
    (
        "knex.cjs",
        "const { KIND, URL, NAME } = process.env;\n\
         const client = { postgres: 'pg', mysql: 'mysql2' }[KIND];\n\
         const knex = require('knex')({ client, connection: URL, migrations: { directory: process.cwd() + '/migrations' } });\n\
         (NAME ? knex.migrate.make(NAME) : knex.migrate.latest()).then(() => knex.destroy());\n",
    ),
];

const DJANGO: &str = "\nimport os\nfrom urllib.parse import urlsplit\nINSTALLED_APPS += [\"shop\"]\n\
    if os.environ[\"KIND\"] == \"sqlite\":\n    DATABASES[\"default\"][\"NAME\"] = os.environ[\"DB\"]\nelse:\n    \
    at = urlsplit(os.environ[\"URL\"])\n    \
    engine = {\"postgres\": \"postgresql\", \"mysql\": \"mysql\"}[os.environ[\"KIND\"]]\n    \
    DATABASES[\"default\"] = {\"ENGINE\": \"django.db.backends.\" + engine, \"NAME\": at.path[1:], \"USER\": at.username,\n        \
    \"PASSWORD\": at.password, \"HOST\": at.hostname, \"PORT\": at.port}\n\
    if os.environ[\"KIND\"] == \"mysql\":\n    import pymysql\n    pymysql.version_info = (2, 2, 7, \"final\", 0)\n    \
    pymysql.install_as_MySQLdb()\n";

/// A migration tool whose programs are on this machine.
pub struct MigrationTool {
    /// Its word in a configuration.
    pub word: &'static str,
    packages: PathBuf,
    kinds: &'static [&'static str],
    /// Shell scripts: before everything, and a migration of the name `$NAME` and number `$NUMBER`.
    preparing: [&'static str; 2],
    applying: Applying,
}

/// How a tool applies what there is.
enum Applying {
    Script(&'static str),
    /// As `sqlx migrate run` does, by the same code.
    Sqlx,
}

const EVERY: &[&str] = &["sqlite", "postgres", "mysql"];
const SERVERS: &[&str] = &["postgres", "mysql"];

impl MigrationTool {
    /// Installs the tools below `cache`, unless they are there; those that cannot be had are told as skipped.
    #[must_use]
    pub fn all(cache: &Path, test: &str) -> Vec<Self> {
        let npm = installed(cache, &FROM_NPM.join("+").replace('/', "-"), |place| {
            fs::write(place.join("package.json"), "{}").expect("a package of our own");
            run("npm", place, &[&["install", "--no-audit", "--no-fund", "--ignore-scripts"], &FROM_NPM[..]].concat())
        });
        let pypi = installed(cache, "migrations-pypi-2", |place| {
            run("python3", place, &["-m", "venv", "."])?;
            run(place.join("bin/pip"), place, &[&["install", "--quiet"], &FROM_PYPI[..]].concat())
        });
        let mut tools = vec![Self {
            word: "sqlx",
            packages: PathBuf::new(),
            kinds: SERVERS,
            preparing: [
                "mkdir -p migrations && printf '[package]\\nname = \"app\"\\n' > Cargo.toml",
                "echo \"CREATE TABLE t_$NAME (x int);\" > \"migrations/000${NUMBER}_$NAME.sql\"",
            ],
            applying: Applying::Sqlx,
        }];
        match npm {
            Ok(place) => tools.extend(of_npm(&place)),
            Err(why) => skipped(&format!("{test}: tools of npm"), &why),
        }
        match pypi {
            Ok(place) => tools.extend(of_pypi(&place)),
            Err(why) => skipped(&format!("{test}: tools of the Python Package Index"), &why),
        }
        tools
    }

    /// Whether the tool knows this kind of database here.
    #[must_use]
    pub fn works_on(&self, database: &Live) -> bool {
        self.kinds.contains(&database.kind())
    }

    /// The tool in a work tree, with a database.
    #[must_use]
    pub fn at<'a>(&'a self, sandbox: &'a Sandbox, work: &'a Path, database: &'a Live) -> AtWork<'a> {
        AtWork { tool: self, sandbox, work, database }
    }
}

fn of_npm(place: &Path) -> Vec<MigrationTool> {
    for (name, text) in OURS {
        fs::write(place.join(name), text).expect("a script");
    }
    let tool = |word, kinds, preparing, apply| MigrationTool {
        word,
        packages: place.to_owned(),
        kinds,
        preparing,
        applying: Applying::Script(apply),
    };
    vec![
        tool(
            "drizzle",
            EVERY,
            [
                "echo 'export {};' > schema.mjs",
                "dialect=$KIND; [ \"$dialect\" = postgres ] && dialect=postgresql; \
                 node \"$TOOLS/node_modules/drizzle-kit/bin.cjs\" generate --custom --name \"$NAME\" \
                 --dialect \"$dialect\" --schema ./schema.mjs --out drizzle && \
                 for file in drizzle/*\"$NAME\".sql; do echo \"select $NUMBER;\" > \"$file\"; done",
            ],
            "node \"$TOOLS/drizzle.mjs\"",
        ),
        tool(
            "dbmate",
            EVERY,
            [
                "mkdir -p db/migrations",
                "printf -- '-- migrate:up\\nselect 1;\\n\\n-- migrate:down\\n' > \"db/migrations/2026010${NUMBER}000000_$NAME.sql\"",
            ],
            "case $KIND in sqlite) at=sqlite:$DB;; postgres) at=$URL?sslmode=disable;; *) at=$URL;; esac; \
             \"$TOOLS\"/node_modules/@dbmate/*/bin/dbmate --url \"$at\" --no-dump-schema up",
        ),
        tool(
            "typeorm",
            EVERY,
            [
                "mkdir -p src/migrations",
                "id=170000000000$NUMBER; printf 'exports.X%s = class X%s { name = \"X%s\"; async up(q) { await q.query(\"select 1\"); } \
                 async down() {} };\\n' $id $id $id > \"src/migrations/$id-$NAME.js\"",
            ],
            "node \"$TOOLS/typeorm.cjs\"",
        ),
        // Its drivers for SQLite are programs that have to be compiled here.
        tool("knex", SERVERS, ["mkdir -p migrations", "node \"$TOOLS/knex.cjs\""], "node \"$TOOLS/knex.cjs\""),
    ]
}

fn of_pypi(place: &Path) -> Vec<MigrationTool> {
    fs::write(place.join("settings.py"), DJANGO).expect("settings");
    let tool = |word, preparing, apply| MigrationTool {
        word,
        packages: place.to_owned(),
        kinds: EVERY,
        preparing,
        applying: Applying::Script(apply),
    };
    vec![
        tool(
            "django",
            [
                "\"$TOOLS/bin/django-admin\" startproject site_of_tests . && \"$TOOLS/bin/python\" manage.py startapp shop && \
                 cat \"$TOOLS/settings.py\" >> site_of_tests/settings.py",
                "\"$TOOLS/bin/python\" manage.py makemigrations shop --empty -n \"$NAME\"",
            ],
            "\"$TOOLS/bin/python\" manage.py migrate",
        ),
        tool(
            "alembic",
            [
                "case $KIND in sqlite) at=sqlite:///$DB;; postgres) at=postgresql+psycopg://${URL#*://};; \
                 *) at=mysql+pymysql://${URL#*://};; esac; \
                 \"$TOOLS/bin/alembic\" init alembic && sed -i \"s|^sqlalchemy.url.*|sqlalchemy.url = $at|\" alembic.ini",
                "\"$TOOLS/bin/alembic\" revision -m \"$NAME\"",
            ],
            "\"$TOOLS/bin/alembic\" upgrade head",
        ),
    ]
}

/// A tool in a work tree, with a database.
pub struct AtWork<'a> {
    tool: &'a MigrationTool,
    sandbox: &'a Sandbox,
    work: &'a Path,
    database: &'a Live,
}

impl AtWork<'_> {
    /// Sets the tool up in the work tree.
    pub fn set_up(&self) {
        self.run(self.tool.preparing[0], "", 0);
    }

    /// Makes a migration: the number orders it.
    pub fn make(&self, name: &str, number: u8) {
        self.run(self.tool.preparing[1], name, number);
    }

    /// Applies everything that is in the work tree.
    ///
    /// # Panics
    /// When the tool fails.
    pub fn apply(&self) {
        match self.tool.applying {
            Applying::Script(script) => self.run(script, "", 0),
            Applying::Sqlx => self.by_sqlx().expect("sqlx to apply the migrations"),
        }
    }

    /// As [`AtWork::apply`], where a migration is to fail.
    ///
    /// # Panics
    /// When it does not.
    pub fn apply_in_vain(&self) {
        match self.tool.applying {
            Applying::Script(script) => assert_ne!(self.said(script, "", 0).code, Some(0), "{}", self.tool.word),
            Applying::Sqlx => drop(self.by_sqlx().expect_err("a migration that fails")),
        }
    }

    fn by_sqlx(&self) -> Result<(), sqlx::Error> {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let migrator = Migrator::new(self.work.join("migrations")).await?;
            let address = self.database.address();
            match self.database.kind() {
                "postgres" => migrator.run(&mut PgConnection::connect(&address).await?).await?,
                _ => migrator.run(&mut MySqlConnection::connect(&address).await?).await?,
            }
            Ok(())
        })
    }

    fn run(&self, script: &str, name: &str, number: u8) {
        let said = self.said(script, name, number);
        assert_eq!(said.code, Some(0), "{} on {}: {said:?}", self.tool.word, self.database.kind());
    }

    fn said(&self, script: &str, name: &str, number: u8) -> Said {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut command = self.sandbox.command("sh", self.work);
        command
            .args(["-c", script])
            .env("PATH", path)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("TOOLS", &self.tool.packages)
            .env("KIND", self.database.kind())
            .env("DB", self.database.file())
            .env("URL", self.database.address())
            .env("NAME", name)
            .env("NUMBER", number.to_string());
        Said::of(&mut command)
    }
}
