//! The admission webhooks: what the API server asks before it takes an object.
//!
//! Guarantees: both judge with the function of `remint validate`; a question that cannot be answered is an error, which by
//! the failure policy refuses the object; nothing that is judged is kept but the documents that come, until they are seen.

use std::sync::{Arc, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use remint_cluster::admission::{self, Asked};
use remint_cluster::document;
use remint_core::estate::{Admitted, admit};
use serde_json::Value;

use crate::serve::aside;
use crate::serve::cluster::Cluster;

/// An object and what it was, each as large as the API server takes them.
const BODY: usize = 8 << 20;

pub(in crate::serve) fn router(cluster: Arc<Cluster>) -> Router {
    Router::new()
        .route("/readyz", get(async || "ok\n"))
        .route("/mutate", post(mutate))
        .route("/validate", post(validate))
        .layer(DefaultBodyLimit::max(BODY))
        .with_state(cluster)
}

async fn mutate(State(cluster): State<Arc<Cluster>>, body: Bytes) -> Response {
    let asked = match read(&body) {
        Ok(asked) => asked,
        Err(refused) => return refused,
    };
    let admitted = cluster.judge(&asked).await;
    if !admitted.refused.is_empty() {
        return answer(&admission::denied(&asked, &sentences(&admitted)));
    }
    let patch = asked.stamped(&cluster.key, cluster.clock().now());
    answer(&admission::allowed(&asked, &patch, &[]))
}

async fn validate(State(cluster): State<Arc<Cluster>>, body: Bytes) -> Response {
    let asked = match read(&body) {
        Ok(asked) => asked,
        Err(refused) => return refused,
    };
    let now = cluster.clock().now();
    if let Some(why) = asked.refused(&cluster.key, now) {
        return answer(&admission::denied(&asked, &why));
    }
    let admitted = cluster.judge(&asked).await;
    if !admitted.refused.is_empty() {
        return answer(&admission::denied(&asked, &sentences(&admitted)));
    }
    if asked.is_document() && !asked.dry_run {
        cluster.mirror.coming(asked.object.clone(), now);
    }
    let warnings: Vec<String> = admitted.missing.iter().map(document::sentence).collect();
    answer(&admission::allowed(&asked, &[], &warnings))
}

impl Cluster {
    /// What is wrong with a document that comes.
    async fn judge(&self, asked: &Asked) -> Admitted {
        if !asked.is_document() {
            return Admitted::default();
        }
        let (object, kinds, now) = (asked.object.clone(), Arc::clone(&self.app.engine.kinds), self.clock().now());
        let (mirror, around) = (Arc::clone(&self.mirror), Arc::clone(&self.around));
        aside(move || {
            let document = document::document(&object);
            // What has no name that a document may have is judged alone: nothing can refer to it.
            let Some(name) = document::reference(&object) else { return admit(&document, &[], &*kinds) };
            let near = {
                let mut around = around.lock().unwrap_or_else(PoisonError::into_inner);
                for (name, document) in mirror.touched(now) {
                    match document {
                        Some(document) => around.put(&name, &document, &*kinds),
                        None => around.remove(&name),
                    }
                }
                around.of(&name, &document, &*kinds)
            };
            admit(&document, &mirror.these(&near), &*kinds)
        })
        .await
    }
}

fn sentences(admitted: &Admitted) -> String {
    admitted.refused.iter().map(document::sentence).collect::<Vec<_>>().join("\n")
}

#[allow(clippy::result_large_err, reason = "it is the answer")]
fn read(body: &Bytes) -> Result<Asked, Response> {
    let review: Value =
        serde_json::from_slice(body).map_err(|_| (StatusCode::BAD_REQUEST, "this is no JSON\n").into_response())?;
    Asked::read(&review).map_err(|error| (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response())
}

fn answer(review: &Value) -> Response {
    ([("content-type", "application/json")], review.to_string()).into_response()
}
