//! Real migration tools, installed from their packages: each makes migrations in a work tree and applies them to a SQLite file.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    managers::{installed, run},
    sandbox::{Said, Sandbox},
};

const FROM_NPM: [&str; 6] =
    ["drizzle-orm@0.44", "drizzle-kit@0.31", "@libsql/client@0.15", "dbmate@2", "typeorm@0.3", "sql.js@1"];
const FROM_PYPI: [&str; 2] = ["django>=5,<6", "alembic>=1.13,<2"];

const DRIZZLE_APPLY: &str = "import { drizzle } from 'drizzle-orm/libsql';\n\
    import { migrate } from 'drizzle-orm/libsql/migrator';\n\
    await migrate(drizzle({ connection: { url: 'file:' + process.env.DB } }), { migrationsFolder: 'drizzle' });\n";
const TYPEORM_APPLY: &str = "const { DataSource } = require('typeorm');\n\
    const source = new DataSource({ type: 'sqljs', location: process.env.DB, autoSave: true, \
    migrations: [process.cwd() + '/src/migrations/*.js'] });\n\
    source.initialize().then(() => source.runMigrations()).then(() => source.destroy());\n";

/// A migration tool whose programs are on this machine.
pub struct MigrationTool {
    /// Its word in a configuration.
    pub word: &'static str,
    packages: PathBuf,
    /// Shell scripts: before everything; a migration of the name `$NAME` and number `$NUMBER`; applying what there is.
    scripts: [&'static str; 3],
}

impl MigrationTool {
    /// Installs the tools below `cache`, unless they are there.
    ///
    /// # Errors
    /// Why they cannot run here: for [`crate::sandbox::skipped`].
    pub fn all(cache: &Path) -> Result<Vec<Self>, String> {
        let npm = installed(cache, "migrations-npm", |place| {
            fs::write(place.join("package.json"), "{}").expect("a package of our own");
            fs::write(place.join("drizzle.mjs"), DRIZZLE_APPLY).expect("a script");
            fs::write(place.join("typeorm.cjs"), TYPEORM_APPLY).expect("a script");
            run("npm", place, &[&["install", "--no-audit", "--no-fund", "--ignore-scripts"], &FROM_NPM[..]].concat())
        })?;
        let pypi = installed(cache, "migrations-pypi", |place| {
            run("python3", place, &["-m", "venv", "."])?;
            run(place.join("bin/pip"), place, &[&["install", "--quiet"], &FROM_PYPI[..]].concat())
        })?;
        let tool = |word, packages: &PathBuf, scripts| Self { word, packages: packages.clone(), scripts };
        Ok(vec![
            tool(
                "django",
                &pypi,
                [
                    "\"$TOOLS/bin/django-admin\" startproject site_of_tests . && \"$TOOLS/bin/python\" manage.py startapp shop && \
                 printf '\\nimport os\\nINSTALLED_APPS += [\"shop\"]\\nDATABASES[\"default\"][\"NAME\"] = os.environ[\"DB\"]\\n' \
                 >> site_of_tests/settings.py",
                    "\"$TOOLS/bin/python\" manage.py makemigrations shop --empty -n \"$NAME\"",
                    "\"$TOOLS/bin/python\" manage.py migrate",
                ],
            ),
            tool(
                "alembic",
                &pypi,
                [
                    "\"$TOOLS/bin/alembic\" init alembic && sed -i \"s|^sqlalchemy.url.*|sqlalchemy.url = sqlite:///$DB|\" alembic.ini",
                    "\"$TOOLS/bin/alembic\" revision -m \"$NAME\"",
                    "\"$TOOLS/bin/alembic\" upgrade head",
                ],
            ),
            tool(
                "drizzle",
                &npm,
                [
                    "true",
                    "echo \"export {};\" > schema.mjs && node \"$TOOLS/node_modules/drizzle-kit/bin.cjs\" generate --custom \
                 --name \"$NAME\" --dialect sqlite --schema ./schema.mjs --out drizzle && \
                 for file in drizzle/*\"$NAME\".sql; do echo \"select $NUMBER;\" > \"$file\"; done",
                    "node \"$TOOLS/drizzle.mjs\"",
                ],
            ),
            tool(
                "dbmate",
                &npm,
                [
                    "mkdir -p db/migrations",
                    "printf -- '-- migrate:up\\nselect 1;\\n\\n-- migrate:down\\n' > \"db/migrations/2026010${NUMBER}000000_$NAME.sql\"",
                    "\"$TOOLS\"/node_modules/@dbmate/*/bin/dbmate --url \"sqlite:$DB\" --no-dump-schema up",
                ],
            ),
            tool(
                "typeorm",
                &npm,
                [
                    "mkdir -p src/migrations",
                    "id=170000000000$NUMBER; printf 'exports.X%s = class X%s { name = \"X%s\"; async up(q) { await q.query(\"select 1\"); } \
                 async down() {} };\\n' $id $id $id > \"src/migrations/$id-$NAME.js\"",
                    "node \"$TOOLS/typeorm.cjs\"",
                ],
            ),
        ])
    }

    /// Sets the tool up in a work tree, for this SQLite file.
    pub fn set_up(&self, sandbox: &Sandbox, work: &Path, database: &Path) {
        self.run(sandbox, work, database, 0, "", 0);
    }

    /// Makes a migration: the number orders it.
    pub fn make(&self, sandbox: &Sandbox, work: &Path, database: &Path, name: &str, number: u8) {
        self.run(sandbox, work, database, 1, name, number);
    }

    /// Applies everything that is in the work tree.
    pub fn apply(&self, sandbox: &Sandbox, work: &Path, database: &Path) {
        self.run(sandbox, work, database, 2, "", 0);
    }

    fn run(&self, sandbox: &Sandbox, work: &Path, database: &Path, script: usize, name: &str, number: u8) {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut command = sandbox.command("sh", work);
        command
            .args(["-c", self.scripts[script]])
            .env("PATH", path)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("TOOLS", &self.packages)
            .env("DB", database)
            .env("NAME", name)
            .env("NUMBER", number.to_string());
        let said = Said::of(&mut command);
        assert_eq!(said.code, Some(0), "{}: {said:?}", self.word);
    }
}
