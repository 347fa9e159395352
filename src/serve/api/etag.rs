//! Which version of something somebody looked at: `ETag` on what can be acted on, `If-Match` on what acts on it.
//!
//! The tag is of the record, or of the digests of the estate: an act is refused with 412 where somebody changed it in
//! between. Between that look and the act the engine's own compare-and-set stands.

use axum::http::{HeaderMap, Method, StatusCode, header};

use crate::engine::EngineError;
use crate::engine::record::kind;
use crate::serve::api::Api;
use crate::serve::api::problem::Problem;
use crate::serve::folder::Look;
use crate::store::Key;

impl Api {
    /// The tag of what an address is about; `None` where there is none.
    pub(super) async fn tag(&self, path: &str) -> Result<Option<String>, Problem> {
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let (kind, id) = match parts.as_slice() {
            ["v1", "resets", id] | ["v1", "resets", id, _] => (kind::RESET, *id),
            ["v1", "findings", id, _] => (kind::FINDING, *id),
            ["v1", "tasks", id, _] => (kind::TASK, *id),
            ["v1", "estate"] | ["v1", "estate", _] => {
                self.folder.look(Look::IfChanged).await?;
                let standing = self.folder.standing();
                let short = |digest: remint_core::digest::Digest| digest.short(16);
                let active = standing.active.map(short).unwrap_or_default();
                let staged = standing.staged.map(|staged| short(staged.digest)).unwrap_or_default();
                return Ok(Some(format!("\"{active}-{staged}\"")));
            }
            _ => return Ok(None),
        };
        let found = self.app.engine.store.get(&Key { kind, id: id.to_owned() }).await.map_err(EngineError::Store)?;
        Ok(found.map(|record| format!("\"{}\"", record.revision)))
    }

    /// Refuses an act on what is not as its caller saw it.
    pub(super) async fn matches(&self, method: &Method, path: &str, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(wanted) = headers.get(header::IF_MATCH).filter(|_| *method == Method::POST) else { return Ok(()) };
        let wanted = wanted.to_str().unwrap_or_default();
        let current = self.tag(path).await?;
        let met = match &current {
            Some(current) => wanted == "*" || wanted.split(',').any(|one| one.trim() == current),
            None => false,
        };
        if met {
            return Ok(());
        }
        let detail = "it was changed since you looked at it; look at it, and ask again";
        Err(Problem::new(StatusCode::PRECONDITION_FAILED, "changed", detail))
    }
}
