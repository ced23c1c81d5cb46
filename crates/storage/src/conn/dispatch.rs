//! Macros that run a query on the backend of a connection.

/// Runs a query of either backend: `on!(connection, |c, q| q::message::get(c, owner, id))`.
macro_rules! on {
    ($connection:expr, |$c:ident, $q:ident| $query:expr) => {{
        let connection: &mut $crate::conn::PooledConnection = &mut $connection;
        connection.set_busy(true);
        let limit = connection.answer_limit;
        let result = match connection.conn()? {
            $crate::conn::Conn::Pg { conn, .. } => {
                use $crate::backend::pg::queries as $q;
                let $c: &mut $crate::backend::pg::Conn = &mut *conn;
                $crate::conn::liveness::answer(limit, $query).await
            }
            $crate::conn::Conn::Sqlite(conn) => {
                use $crate::backend::sqlite::queries as $q;
                let $c: &mut $crate::backend::sqlite::Conn = &mut *conn;
                $query.await
            }
        };
        connection.answered(result)
    }};
}

/// Runs a function that each backend implements itself: `on_backend!(connection, feed_now())`.
macro_rules! on_backend {
    ($connection:expr, $function:ident($($arg:expr),*)) => {{
        let connection: &mut $crate::conn::PooledConnection = &mut $connection;
        connection.set_busy(true);
        let limit = connection.answer_limit;
        let result = match connection.conn()? {
            $crate::conn::Conn::Pg { conn, .. } => {
                let statement = $crate::backend::pg::$function(&mut *conn $(, $arg)*);
                $crate::conn::liveness::answer(limit, statement).await
            }
            $crate::conn::Conn::Sqlite(conn) => $crate::backend::sqlite::$function(&mut *conn $(, $arg)*).await,
        };
        connection.answered(result)
    }};
}

/// Runs one query on a reader. Repeats it once if the connection has just died: the pool does not test a connection
/// when it hands it out, which would cost a round trip each time.
macro_rules! read {
    ($database:expr, |$c:ident, $q:ident| $query:expr) => {
        read!($database, connection, on!(connection, |$c, $q| $query))
    };
    ($database:expr, $function:ident($($arg:expr),*)) => {
        read!($database, connection, on_backend!(connection, $function($($arg),*)))
    };
    ($database:expr, $connection:ident, $run:expr) => {{
        let mut attempt = 0;
        loop {
            attempt += 1;
            let mut $connection = $database.reader().await?;
            match $run {
                Err($crate::error::StorageError::Unavailable(_)) if attempt == 1 => {}
                result => break result,
            }
        }
    }};
}
