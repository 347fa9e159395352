//! The log as c2sp.org/tlog-tiles serves it, below `/v1/log/`, and what is measured of it.
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

/// Numbers, as Prometheus reads them.
pub(super) async fn metrics(State(api): State<Arc<Api>>) -> Result<Response, Problem> {
    let size = api.tiles.size().await?;
    let mut text = format!("# TYPE remint_log_entries gauge\nremint_log_entries {size}\n");
    if let Some(witnessing) = &api.witnessing {
        let unwitnessed = witnessing.unwitnessed().await.map_err(TileError::from)?;
        let age = unwitnessed.age(api.app.engine.context.clock.now()).as_secs_f64();
        let alarm = u8::from(witnessing.alarmed());
        text.push_str(&format!(
            "# TYPE remint_log_witnessed_entries gauge\nremint_log_witnessed_entries {}\n\
             # TYPE remint_log_unwitnessed_age_seconds gauge\nremint_log_unwitnessed_age_seconds {age}\n\
             # TYPE remint_log_unwitnessed_alarm gauge\nremint_log_unwitnessed_alarm {alarm}\n",
            unwitnessed.witnessed
        ));
    }
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}
