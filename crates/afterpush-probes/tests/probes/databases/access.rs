//! Who is let in, over which line, and what they may do there.

use super::*;

#[tokio::test]
async fn who_may_not_come_in_or_not_read_is_told_what_to_do() {
    for server in shared("who_may_not_come_in_or_not_read_is_told_what_to_do") {
        let mut fresh = Fresh::snake(server).await;
        let wrong = address(&server.address(&fresh.name, "canary", &fresh.name, ""));
        trouble(ask(wrong).await, FaultKind::Unauthorized, "refuses the user name or the password");
        let other = address(&server.address(&fresh.name, PASSWORD, "secretname_other", ""));
        let kind = if fresh.is_postgres { FaultKind::Transient } else { FaultKind::Unauthorized };
        trouble(ask(other).await, kind, "the database named by DATABASE_URL");
        let user = if fresh.is_postgres { fresh.name.clone() } else { format!("{}@localhost", fresh.name) };
        fresh.run(&format!("REVOKE SELECT ON deployments FROM {user}")).await;
        trouble(fresh.ask().await, FaultKind::Unauthorized, "see the GRANT statements of the database guide");
    }
}

#[tokio::test]
async fn tls_is_used_verified_and_asked_for_as_the_address_says() {
    for server in shared("tls_is_used_verified_and_asked_for_as_the_address_says") {
        let fresh = Fresh::snake(server).await;
        let authority = server.authority().display().to_string();
        let verified = format!("?sslmode=verify-full&sslrootcert={authority}");
        for (more, security) in [
            ("?sslmode=require", Security::Encrypted),
            (verified.as_str(), Security::Verified),
            ("?sslmode=disable", Security::Local),
        ] {
            let mut connection = Connection::open(&fresh.address(more)).await.unwrap();
            assert_eq!(connection.security(), security, "{more}");
            let sql = match connection.dialect() {
                Dialect::Postgres => "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
                _ => {
                    "SELECT variable_value <> '' FROM information_schema.session_status WHERE variable_name = 'Ssl_cipher'"
                }
            };
            let is_encrypted = connection.rows(sql, &[]).await.unwrap()[0][0].clone().unwrap();
            assert_eq!(
                ["t", "1"].contains(&is_encrypted.as_str()),
                security != Security::Local,
                "{more} {is_encrypted}"
            );
            connection.close().await;
        }
        let unknown = "its issuer is unknown; name the authority's file";
        trouble(ask(fresh.address("?sslmode=verify-full")).await, FaultKind::Malformed, unknown);
        let by_number = server.address(&fresh.name, PASSWORD, &fresh.name, &verified).replace("localhost", "127.0.0.1");
        trouble(ask(address(&by_number)).await, FaultKind::Malformed, "it is for another host");
    }
}

#[tokio::test]
async fn a_server_that_wants_tls_and_one_that_has_none_are_told_apart() {
    let test = "a_server_that_wants_tls_and_one_that_has_none_are_told_apart";
    for server in shared(test) {
        let mut fresh = Fresh::new(server).await;
        if fresh.is_postgres {
            fresh.run(&format!("CREATE USER tlsonly PASSWORD '{PASSWORD}'")).await;
        } else {
            fresh.run(&format!("CREATE USER tlsonly@localhost IDENTIFIED BY '{PASSWORD}' REQUIRE SSL")).await;
            fresh.run(&format!("GRANT SELECT ON {}.* TO tlsonly@localhost", fresh.name)).await;
        }
        let by = |more: &str| address(&server.address("tlsonly", PASSWORD, &fresh.name, more));
        let said =
            if fresh.is_postgres { "refuses this user without TLS" } else { "refuses the user name or the password" };
        trouble(ask(by("?sslmode=disable")).await, FaultKind::Unauthorized, said);
        trouble(ask(by("?sslmode=require")).await, FaultKind::Transient, "no such table");
    }
    let plain = [DatabaseServer::postgres(Offer::Plain), DatabaseServer::mariadb(Offer::Plain)];
    for server in there(test, [&plain[0], &plain[1]]) {
        let is_postgres = server.is_postgres();
        let (admin, database) = if is_postgres { ("postgres", "postgres") } else { ("root", "mysql") };
        let by = |more: &str| address(&server.address(admin, PASSWORD, database, more));
        trouble(ask(by("?sslmode=require")).await, FaultKind::Malformed, "does not offer TLS; change its TLS mode");
        trouble(ask(by("")).await, FaultKind::Unauthorized, "refuses the user name or the password");
    }
}

#[tokio::test]
async fn nothing_can_be_changed_through_the_connection() {
    for server in shared("nothing_can_be_changed_through_the_connection") {
        let mut fresh = Fresh::snake(server).await;
        fresh.insert(OURS, "failed", "", 1).await;
        let body = "INSERT INTO deployments (status) VALUES ('written')";
        let function = if fresh.is_postgres {
            format!("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ {body} RETURNING 1 $$")
        } else {
            format!("CREATE FUNCTION f() RETURNS int BEGIN {body}; RETURN 1; END")
        };
        fresh.run(&function).await;
        // As the superuser, who may do everything.
        let mut connection = fresh.connection().await;
        for sql in [
            body,
            "UPDATE deployments SET status = 'written'",
            "DELETE FROM deployments",
            "DROP TABLE deployments",
            "CREATE TABLE written (x int)",
            "SELECT f()",
            "COMMIT",
            "SELECT 1; DELETE FROM deployments",
            "SELECT 1) AS x; COMMIT; DELETE FROM deployments --",
        ] {
            let answer = connection.rows(sql, &[]).await;
            if fresh.is_postgres || sql != "COMMIT" {
                assert!(answer.is_err(), "{sql}: {answer:?}");
            }
        }
        // In spite of all that, the same connection still reads, and nothing has changed.
        let rows = connection.rows("SELECT status FROM deployments", &[]).await.unwrap();
        assert_eq!(rows, [[Some("failed".to_owned())]]);
        let table = Table { schema: None, name: "written".to_owned() };
        let made = connection.columns(&table).await;
        assert!(!matches!(made, Ok(Some(_))), "{made:?}");
        let fault = connection.rows("SELECT f()", &[]).await.unwrap_err();
        assert!(fault.message.contains("only reading is allowed"), "{fault:?}");
        connection.close().await;
    }
}

/// The statements of the guide, for PostgreSQL and for the others.
fn grants_of_the_guide() -> Vec<String> {
    const GUIDE: &str = include_str!("../../../../../docs/database.md");
    let blocks = GUIDE.split("```sql").skip(1).map(|after| after.split("```").next().unwrap().to_owned());
    blocks.collect()
}

#[tokio::test]
async fn the_grants_of_the_guide_are_enough_and_allow_nothing_else() {
    let grants = grants_of_the_guide();
    assert_eq!(grants.len(), 2);
    for server in shared("the_grants_of_the_guide_are_enough_and_allow_nothing_else") {
        let mut fresh = Fresh::new(server).await;
        let columns = "id serial PRIMARY KEY, commit_sha varchar(64) NOT NULL, status varchar(32) NOT NULL, \
                       error_message text, created_at timestamp DEFAULT CURRENT_TIMESTAMP";
        fresh.run(&format!("CREATE TABLE deployments ({columns}); CREATE TABLE other (x int)")).await;
        let user = format!("{}_reader", fresh.name);
        let grants = if fresh.is_postgres { &grants[0] } else { &grants[1] };
        let statements = grants.replace(" app", &format!(" {}", fresh.name)).replace("afterpush", &user);
        assert!(statements.contains(&fresh.name), "{statements}");
        fresh.run(&statements).await;
        fresh.run(&format!("INSERT INTO deployments (commit_sha, status) VALUES ('{OURS}', 'success')")).await;
        let reader = address(&server.address(&user, "choose-one", &fresh.name, ""));
        assert_eq!(row(ask(reader.clone()).await).0, RowState::Success);
        let mut connection = Connection::open(&reader).await.unwrap();
        let fault = connection.rows("SELECT * FROM other", &[]).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Unauthorized, "{fault:?}");
        connection.close().await;
    }
}
