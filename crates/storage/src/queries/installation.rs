//! The installation itself, and the database that it runs on.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::Conn;
use crate::fields::Id;
use crate::schema::installation;

/// The installation's id.
pub(crate) async fn id(c: &mut Conn) -> QueryResult<Id> {
    installation::table
        .select(installation::id)
        .get_result(c)
        .await
}

/// The identity of the database that answers.
pub(crate) async fn identity(c: &mut Conn) -> QueryResult<String> {
    diesel::select(identity!()).get_result(c).await
}
