//! Minimal server over Redis: one GET per request over one shared connection, and decoding of the value.

use std::sync::Arc;

use parlance_proto::v1;
use prost::Message as _;
use redis::aio::MultiplexedConnection;
use tonic::Status;

use crate::bare::{self, Answer};
use crate::{child, message};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    redis: String,
    /// Number of messages to store.
    #[arg(long)]
    messages: u64,
}

struct Store(MultiplexedConnection);

impl Answer for Store {
    async fn get(&self, id: String) -> Result<v1::Message, Status> {
        let mut connection = self.0.clone();
        let value: Option<Vec<u8>> = redis::cmd("GET")
            .arg(key(&id))
            .query_async(&mut connection)
            .await
            .map_err(|error| Status::unavailable(error.to_string()))?;
        let value = value.ok_or_else(|| Status::not_found(id))?;
        v1::Message::decode(value.as_slice()).map_err(|error| Status::internal(error.to_string()))
    }
}

fn key(id: &str) -> String {
    format!("bare:{id}")
}

pub(crate) fn run(args: &Args) {
    child::end_with_parent();
    bare::multi_thread().block_on(async {
        let client = redis::Client::open(args.redis.as_str()).expect("the URL is a Redis URL");
        let connection = client.get_multiplexed_async_connection().await;
        let mut connection = connection.expect("Redis accepts connections");
        for n in 0..args.messages {
            let mut set = redis::cmd("SET");
            set.arg(key(&message::message_id(n).to_string()));
            set.arg(message::message(n).encode_to_vec());
            set.exec_async(&mut connection)
                .await
                .expect("Redis stores a value");
        }
        let listener = bare::listen(([127, 0, 0, 1], 0).into());
        child::announce(bare::url(&listener));
        bare::serve(listener, Arc::new(Store(connection))).await;
    });
}
