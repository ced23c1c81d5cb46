//! One database per test.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio_postgres::NoTls;

use crate::ports::random;

/// A database for one test only. On a throw-away server it disappears with the server; on a permanent server it is
/// dropped with this value.
#[derive(Debug)]
pub struct TestDatabase {
    /// URL, `postgres://…/name`.
    pub url: String,
    name: String,
    drop_at: Option<String>,
}

impl TestDatabase {
    pub(crate) async fn create(server_url: &str, permanent: bool) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // Several machines may use a permanent server, so the pid alone is not unique.
        let name = format!("test_{}_{count}_{:08x}", std::process::id(), random() >> 32);
        // Unlike template1, template0 never has connections that would block the copy.
        run(
            server_url,
            &format!("CREATE DATABASE {name} TEMPLATE template0"),
        )
        .await;
        Self {
            url: with_database(server_url, &name),
            name,
            drop_at: permanent.then(|| server_url.to_owned()),
        }
    }

    /// Returns the database's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Some(server_url) = self.drop_at.take() else {
            return;
        };
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // Dropping cannot wait on the test's own runtime, so it uses a runtime of its own.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime
                .expect("a runtime")
                .block_on(run(&server_url, &statement));
        });
        let dropped = dropping.join().is_ok();
        // A failed test must show its own panic, not this one.
        assert!(
            dropped || std::thread::panicking(),
            "the test database {} was not dropped",
            self.name
        );
    }
}

async fn run(url: &str, statement: &str) {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .unwrap_or_else(|e| {
            panic!("cannot connect to the test server; check TEST_DATABASE_URL: {e:?}")
        });
    let connection = tokio::spawn(connection);
    let done = client.batch_execute(statement).await;
    connection.abort();
    done.unwrap_or_else(|e| panic!("{statement}: {e:?}"));
}

/// Replaces the database in a server URL.
fn with_database(url: &str, name: &str) -> String {
    let (base, query) = url
        .split_once('?')
        .map_or((url, None), |(base, query)| (base, Some(query)));
    let (scheme, rest) = base.split_once("://").unwrap_or_else(|| {
        panic!("TEST_DATABASE_URL must look like postgres://user@host:port/database")
    });
    let authority = rest.split('/').next().unwrap_or_default();
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{scheme}://{authority}/{name}{query}")
}

#[cfg(test)]
mod tests {
    use super::with_database;

    #[test]
    fn with_database_replaces_the_database_of_a_url() {
        for (url, expected) in [
            ("postgres://u:p@h:5432/old", "postgres://u:p@h:5432/new"),
            ("postgres://u@h", "postgres://u@h/new"),
            (
                "postgresql://h/old?sslmode=disable",
                "postgresql://h/new?sslmode=disable",
            ),
            ("postgres://h?host=/run/pg", "postgres://h/new?host=/run/pg"),
        ] {
            assert_eq!(with_database(url, "new"), expected);
        }
    }
}
