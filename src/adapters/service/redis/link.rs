//! One connection to a Redis server, with errors that name the server and never a password.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue};

use crate::adapters::service::ServiceError;
use crate::domain::service::Use;

/// How long connecting and each answer may take.
const LIMIT: Duration = Duration::from_secs(20);

/// A connection. One command at a time.
pub(crate) struct Link {
    connection: MultiplexedConnection,
}

impl Link {
    /// Connects; `place` is what errors call the server.
    pub async fn open(url: &str, place: &str) -> Result<Self, ServiceError> {
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(LIMIT)).set_response_timeout(Some(LIMIT));
        let connected = match Client::open(url) {
            Ok(client) => client.get_multiplexed_async_connection_with_config(&config).await,
            Err(error) => Err(error),
        };
        match connected {
            Ok(connection) => Ok(Self { connection }),
            Err(error) => {
                Err(ServiceError::Unreachable { used_as: Use::Cache, place: place.to_owned(), why: error.to_string() })
            }
        }
    }

    /// Sends a command; `what` begins the message when it fails.
    pub async fn ask<T: FromRedisValue>(&mut self, command: &Cmd, what: &str) -> Result<T, ServiceError> {
        let answer = command.query_async(&mut self.connection).await;
        answer.map_err(|error| ServiceError::Failed { what: what.to_owned(), why: error.to_string() })
    }
}
