//! How workloads, traffic and the attacker call services: one pooled client, one shape of call.

use remint_contract::Material;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::WorldError;
use crate::wire;

/// A client of the world's services that is not Remint.
#[derive(Debug, Clone)]
pub(crate) struct Caller(reqwest::Client);

/// Why a call gave nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failed {
    /// The service answered this status.
    Status(u16),
    /// No answer, or none that could be read.
    NoAnswer,
}

impl Caller {
    pub(crate) fn new() -> Result<Self, WorldError> {
        reqwest::Client::builder().build().map(Self).map_err(WorldError::Client)
    }

    /// Calls `verb` of the service at `url` as `source`, showing a credential.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        url: &str,
        verb: &str,
        source: &str,
        shown: Option<&Material>,
        body: &impl Serialize,
    ) -> Result<T, Failed> {
        let mut request = self.0.post(format!("{url}/{verb}")).header(wire::SOURCE, source).json(body);
        if let Some(header) = shown.map(wire::authorization) {
            request = request.header("authorization", header.expose());
        }
        let response = request.send().await.map_err(|_| Failed::NoAnswer)?;
        if !response.status().is_success() {
            return Err(Failed::Status(response.status().as_u16()));
        }
        response.json().await.map_err(|_| Failed::NoAnswer)
    }
}
