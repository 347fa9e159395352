//! One witness, asked over HTTP.

use std::time::Duration;

use remint_evidence_format::FormatError;
use remint_evidence_format::cosignature::WitnessKey;
use remint_evidence_format::note::{self, Note};
use remint_evidence_format::witness::{Request, SIZE_TYPE};
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;

use super::WitnessingError;
use crate::answer::{self, Unread};
use crate::evidence::tiles::{TileError, Tiles};

/// The longest that a witness may take.
const LONGEST: Duration = Duration::from_secs(10);

/// The largest answer that is read: a handful of lines.
const LARGEST: usize = 64 * 1024;

/// Why a witness did not sign.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("it cannot be reached at {url}")]
    Unreachable {
        url: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("it does not know this log; tell its operator the log's key")]
    Unknown,
    #[error("it does not trust the key that signed; tell its operator the log's key")]
    Untrusted,
    #[error(
        "ALARM: it saw a log of {seen} entries and there are {here} here: this store was turned back, or somebody else signs with its key"
    )]
    Ahead { seen: u64, here: u64 },
    #[error("ALARM: what it saw is not the beginning of this log: two logs were signed with this key")]
    Forked,
    #[error("it answered {0}")]
    Answered(u16),
    #[error("its answer is too large or no text")]
    Garbled,
    #[error("its cosignature does not fit")]
    Wrong(#[source] FormatError),
    #[error("no proof could be made for it")]
    Proof(#[from] TileError),
}

/// What asks.
pub(super) struct Asking {
    http: reqwest::Client,
    tiles: Tiles,
}

struct Answer {
    status: u16,
    is_size: bool,
    body: String,
}

impl Asking {
    pub(super) fn new(tiles: Tiles) -> Result<Self, WitnessingError> {
        let http = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .timeout(LONGEST)
            .user_agent("remint")
            .build();
        Ok(Self { http: http.map_err(WitnessingError::Client)?, tiles })
    }

    /// The witness's line under the checkpoint, which has been checked; `known` is the size that it saw last, as far as
    /// anybody here knows.
    pub(super) async fn cosign(
        &self,
        key: &WitnessKey,
        url: &str,
        known: u64,
        size: u64,
        note: &str,
    ) -> Result<String, Refusal> {
        let mut old = known.min(size);
        // It says how far it is at most once: then it moved, and is asked again later.
        for _ in 0..2 {
            let proof = self.tiles.consistency(old, size).await?.unwrap_or_default();
            let answer = self.post(url, Request { old, proof, checkpoint: note }.to_text()).await?;
            match answer.status {
                200 => return line(key, note, &answer.body),
                403 => return Err(Refusal::Untrusted),
                404 => return Err(Refusal::Unknown),
                409 => match answer.body.trim_end().parse().ok().filter(|_| answer.is_size) {
                    // It is there, and another tree is.
                    Some(seen) if seen == old => return Err(Refusal::Forked),
                    Some(seen) if seen > size => return Err(Refusal::Ahead { seen, here: size }),
                    Some(seen) => old = seen,
                    None if old == size => return Err(Refusal::Forked),
                    None => return Err(Refusal::Answered(409)),
                },
                422 => return Err(Refusal::Forked),
                status => return Err(Refusal::Answered(status)),
            }
        }
        Err(Refusal::Answered(409))
    }

    async fn post(&self, url: &str, body: String) -> Result<Answer, Refusal> {
        let lost = |source: reqwest::Error| Refusal::Unreachable { url: url.to_owned(), source: source.without_url() };
        let address = format!("{}/add-checkpoint", url.trim_end_matches('/'));
        let answer = self.http.post(address).body(body).send().await.map_err(lost)?;
        let status = answer.status().as_u16();
        let is_size = answer.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes() == SIZE_TYPE.as_bytes());
        let body = answer::text(answer, LARGEST).await.map_err(|unread| match unread {
            Unread::Lost(error) => lost(error),
            Unread::Large | Unread::NoText => Refusal::Garbled,
        })?;
        Ok(Answer { status, is_size, body })
    }
}

/// Of the lines of an answer the one that is by this key; it has to fit.
fn line(key: &WitnessKey, note: &str, answer: &str) -> Result<String, Refusal> {
    note::signatures(answer).map_err(Refusal::Wrong)?;
    for line in answer.lines() {
        let cosigned = format!("{note}{line}\n");
        let parsed = Note::parse(cosigned.as_bytes()).map_err(Refusal::Wrong)?;
        match key.verify(&parsed) {
            Ok(_) => return Ok(format!("{line}\n")),
            Err(FormatError::Unsigned { .. }) => {}
            Err(error) => return Err(Refusal::Wrong(error)),
        }
    }
    Err(Refusal::Wrong(FormatError::Unsigned { name: key.name().to_owned() }))
}
