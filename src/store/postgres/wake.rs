//! Being told: LISTEN on a session of its own.

use async_trait::async_trait;
use sqlx::postgres::PgListener;

use super::broken;
use super::server::Server;
use crate::store::{StoreError, Wake, Woken};

/// What commits notify.
const CHANNEL: &str = "remint";

struct Listening(PgListener);

pub(super) async fn watch(server: &Server) -> Result<Box<dyn Wake>, StoreError> {
    let failed = broken("could not listen to its database");
    let mut listener = PgListener::connect_with(&server.pool()?).await.map_err(&failed)?;
    listener.listen(CHANNEL).await.map_err(&failed)?;
    Ok(Box::new(Listening(listener)))
}

#[async_trait]
impl Wake for Listening {
    async fn next(&mut self) -> Woken {
        loop {
            match self.0.try_recv().await {
                Ok(Some(told)) => match told.payload().split_once('/') {
                    Some((kind, id)) => return Woken::Put { kind: kind.to_owned(), id: id.to_owned() },
                    None => return Woken::Anything,
                },
                // The connection was lost, and what was told meanwhile with it.
                Ok(None) => return Woken::Anything,
                Err(_) => Server::pause().await,
            }
        }
    }
}
