//! Trying an access key: who does STS take its bearer for? That needs no right, and no policy can forbid it.

use aws_credential_types::Credentials;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use remint_contract::{Clock as _, Material, SystemClock};

use crate::client::{self, Client};
use crate::error::{Failure, Refusal};

/// A signature is good for five minutes; a clock that is further off makes every key look wrong.
const DRIFT: i64 = 240;

/// What a try gave.
pub(crate) enum Tried {
    /// Who it speaks for, as an ARN.
    Accepted(String),
    /// The key is not there, or the secret is not the key's.
    Refused,
    Unclear(Failure),
}

/// Tries a value in one region.
pub(crate) async fn try_in(client: &Client, material: &Material, region: &str) -> Tried {
    // What could not be a key was never one.
    let Some(credentials) = client::credentials(material) else { return Tried::Refused };
    match ask(client, credentials, region).await {
        Ok(Some(arn)) => Tried::Accepted(arn),
        Ok(None) => Tried::Unclear(Failure::Lost),
        Err(Failure::Refused(refusal)) if denies(&refusal, SystemClock.now()) => Tried::Refused,
        Err(failure) => Tried::Unclear(failure),
    }
}

async fn ask(client: &Client, credentials: Credentials, region: &str) -> Result<Option<String>, Failure> {
    let sts = aws_sdk_sts::Client::new(&client.bearing(credentials, region));
    let answer = sts.get_caller_identity().send().await.map_err(|failure| Failure::of(&failure))?;
    Ok(answer.arn)
}

/// Is it the credential that is refused? An unknown key is; a wrong signature is only while both clocks agree.
fn denies(refusal: &Refusal, now: Timestamp) -> bool {
    let theirs = refusal.date.as_deref().and_then(|date| rfc2822::parse(date).ok());
    let agree = theirs.is_some_and(|theirs| (theirs.timestamp().as_second() - now.as_second()).abs() <= DRIFT);
    refusal.is("InvalidClientTokenId") || (refusal.is("SignatureDoesNotMatch") && agree)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: &str, date: Option<&str>) -> Refusal {
        Refusal::new(403, Some(code), |name| date.filter(|_| name == "date").map(str::to_owned))
    }

    #[test]
    fn a_wrong_clock_is_not_taken_for_a_wrong_secret() {
        let now: Timestamp = "2026-10-21T07:30:00Z".parse().unwrap();
        let close = Some("Wed, 21 Oct 2026 07:28:00 GMT");
        assert!(denies(&refusal("SignatureDoesNotMatch", close), now));
        assert!(!denies(&refusal("SignatureDoesNotMatch", Some("Wed, 21 Oct 2026 07:20:00 GMT")), now));
        assert!(!denies(&refusal("SignatureDoesNotMatch", None), now));
    }

    #[test]
    fn only_an_unknown_key_or_a_wrong_signature_is_a_denial() {
        let now: Timestamp = "2026-10-21T07:28:00Z".parse().unwrap();
        let close = Some("Wed, 21 Oct 2026 07:28:00 GMT");
        assert!(denies(&refusal("InvalidClientTokenId", None), now));
        for code in ["AccessDenied", "Throttling", "ExpiredToken", "RegionDisabledException", "ServiceUnavailable"] {
            assert!(!denies(&refusal(code, close), now), "{code}");
        }
    }
}
