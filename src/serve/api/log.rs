//! The log as c2sp.org/tlog-tiles serves it, below `/v1/log/`.
//!
//! Entries tell what was rotated where, so the door is the same as for everything else.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use remint_evidence_format::tile::Tile;

use crate::evidence::tiles::TileError;
use crate::evidence::witnessing::checkpoint_over;
use crate::serve::api::Api;
use crate::serve::api::problem::Problem;

/// The newest checkpoint, with the cosignatures that there are.
pub(super) async fn checkpoint(State(api): State<Arc<Api>>) -> Result<Response, Problem> {
    let size = api.tiles.size().await?;
    let Some((_, note)) = checkpoint_over(&*api.app.engine.store, size).await.map_err(TileError::from)? else {
        return Err(Problem::plain(StatusCode::NOT_FOUND));
    };
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], note).into_response())
}

/// One tile of hashes or entries.
pub(super) async fn tile(State(api): State<Arc<Api>>, Path(path): Path<String>) -> Result<Response, Problem> {
    let tile = Tile::parse(&format!("tile/{path}")).map_err(|_| Problem::plain(StatusCode::NOT_FOUND))?;
    match api.tiles.bytes(tile).await? {
        Some(bytes) => Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response()),
        None => Err(Problem::plain(StatusCode::NOT_FOUND)),
    }
}
