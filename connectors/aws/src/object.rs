//! SSM and KMS by their JSON API: an object, signed, and an object back.

use remint_contract::{Call, Error, Verb};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::client::Client;
use crate::error::Failure;
use crate::signed::Request;

const JSON: &str = "application/x-amz-json-1.1";

/// Which of them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Api {
    Ssm,
    Kms,
}

impl Api {
    const fn name(self) -> &'static str {
        match self {
            Self::Ssm => "ssm",
            Self::Kms => "kms",
        }
    }

    /// What stands before the name of an action.
    const fn target(self) -> &'static str {
        match self {
            Self::Ssm => "AmazonSSM",
            Self::Kms => "TrentService",
        }
    }
}

#[derive(Deserialize)]
struct Refused {
    #[serde(rename = "__type")]
    kind: String,
}

/// Asks as Remint. What comes back is a success, or why there is none.
pub(crate) async fn ask<T: DeserializeOwned>(
    client: &Client,
    api: Api,
    call: &Call,
    verb: Verb,
    action: &str,
    asked: &impl Serialize,
) -> Result<Result<T, Failure>, Error> {
    let credentials = client.credentials(call, verb).await?;
    let Ok(body) = serde_json::to_string(asked).map(Zeroizing::new) else { return Ok(Err(Failure::Invalid)) };
    let (address, action) = (client.settings.address(api.name()), format!("{}.{action}", api.target()));
    let request = Request {
        service: api.name(),
        address: &address,
        region: &client.settings.region,
        headers: vec![("content-type", JSON), ("x-amz-target", &action)],
        body,
    };
    Ok(request.send(&client.http, credentials).await.and_then(|answer| {
        let text = answer.text().ok_or(Failure::Lost);
        if answer.is_success() {
            return serde_json::from_str(text?).map_err(|_| Failure::Lost);
        }
        // `namespace#Code`, or the code alone.
        let refused = text.ok().and_then(|text| serde_json::from_str::<Refused>(text).ok());
        let code = refused.as_ref().map(|refused| refused.kind.rsplit('#').next().unwrap_or_default());
        Err(answer.refusal(code))
    }))
}
