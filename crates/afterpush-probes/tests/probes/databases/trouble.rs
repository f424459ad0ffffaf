//! What keeps a server from answering, and what it is called.

use super::*;

#[tokio::test]
async fn a_lock_on_the_table_is_waited_for_a_second_and_told() {
    for server in shared("a_lock_on_the_table_is_waited_for_a_second_and_told") {
        let mut fresh = Fresh::snake(server).await;
        fresh.insert(OURS, "success", "", 1).await;
        let (lock, unlock) = if fresh.is_postgres {
            ("BEGIN; LOCK TABLE deployments IN ACCESS EXCLUSIVE MODE", "COMMIT")
        } else {
            ("LOCK TABLES deployments WRITE", "UNLOCK TABLES")
        };
        fresh.run(lock).await;
        trouble(fresh.ask().await, FaultKind::Transient, "is locked by a writer");
        fresh.run(unlock).await;
        assert_eq!(row(fresh.ask().await).0, RowState::Success);
    }
}

#[tokio::test]
async fn a_question_without_an_end_is_ended_by_the_server() {
    for server in shared("a_question_without_an_end_is_ended_by_the_server") {
        let mut fresh = Fresh::new(server).await;
        fresh.run("CREATE TABLE many (n int)").await;
        let values: Vec<String> = (0..400).map(|n| format!("({n})")).collect();
        fresh.run(&format!("INSERT INTO many VALUES {}", values.join(","))).await;
        let mut connection = fresh.connection().await;
        let start = Instant::now();
        let endless = "SELECT count(*) FROM many a, many b, many c, many d WHERE a.n + b.n * c.n - d.n = -1";
        let fault = connection.rows(endless, &[]).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Transient);
        assert_eq!(fault.message, "a question to the database named by DATABASE_URL took more than 2 s");
        assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
        connection.close().await;
        // The server does not go on with it.
        let running = if fresh.is_postgres {
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%many d WHERE%' AND pid <> pg_backend_pid()"
        } else {
            "SELECT count(*) FROM information_schema.processlist WHERE info LIKE '%many d WHERE%' AND id <> connection_id()"
        };
        let mut connection = fresh.connection().await;
        assert_eq!(connection.rows(running, &[]).await.unwrap(), [[Some("0".to_owned())]]);
        connection.close().await;
    }
}

#[tokio::test]
async fn a_limit_of_connections_is_told() {
    for server in shared("a_limit_of_connections_is_told") {
        let mut fresh = Fresh::snake(server).await;
        let limit = if fresh.is_postgres {
            format!("ALTER USER {} CONNECTION LIMIT 1", fresh.name)
        } else {
            format!("ALTER USER {}@localhost WITH MAX_USER_CONNECTIONS 1", fresh.name)
        };
        fresh.run(&limit).await;
        let first = Connection::open(&fresh.address("")).await.unwrap();
        trouble(fresh.ask().await, FaultKind::Transient, "has too many connections; it is asked again");
        first.close().await;
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_or_dies_in_the_middle_is_trouble() {
    let test = "a_server_that_is_not_there_or_dies_in_the_middle_is_trouble";
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    for scheme in ["postgres", "mysql"] {
        let nobody = address(&format!("{scheme}://u:canary@localhost:{closed}/secretname"));
        trouble(ask(nobody).await, FaultKind::Transient, "the connection was refused");
        let nowhere = address(&format!("{scheme}://u:canary@secretname.invalid/x"));
        trouble(ask(nowhere).await, FaultKind::Transient, "the host name of the database named by DATABASE_URL");
        let no_socket = address(&format!("{scheme}://u:canary@localhost/x?host=/nowhere/secretname"));
        trouble(ask(no_socket).await, FaultKind::Transient, "there is no socket at the address");
    }
    for server in [DatabaseServer::postgres(Offer::Plain), DatabaseServer::mariadb(Offer::Plain)] {
        let server = match server {
            Ok(server) => server,
            Err(why) => {
                skipped(test, &why);
                continue;
            }
        };
        let is_postgres = server.is_postgres();
        let at = address(&server.admin_address(if is_postgres { "postgres" } else { "mysql" }));
        let mut connection = Connection::open(&at).await.unwrap();
        let sleep = if is_postgres { "SELECT pg_sleep(20)" } else { "SELECT sleep(20)" };
        let death = tokio::task::spawn_blocking(move || {
            std::thread::sleep(Duration::from_millis(300));
            drop(server);
        });
        let fault = connection.rows(sleep, &[]).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Transient);
        let expected = ["ended the connection", "is starting or shutting down"];
        assert!(expected.iter().any(|words| fault.message.contains(words)), "{fault:?}");
        let fault = connection.rows("SELECT 1", &[]).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Transient, "{fault:?}");
        connection.close().await;
        death.await.unwrap();
        let fault = Connection::open(&at).await.err().unwrap();
        assert!(fault.message.contains("socket") || fault.message.contains("refused"), "{fault:?}");
    }
}
