//! IAM by its query API: a form, signed, and an answer in XML.

use remint_contract::{Call, Error, Verb};
use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::client::Client;
use crate::error::Failure;
use crate::signed::Request;
use crate::xml::Answer;

const VERSION: &str = "2010-05-08";
const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// Asks as Remint. What comes back is the text of a success, or why there is none.
pub(crate) async fn ask(
    client: &Client,
    call: &Call,
    verb: Verb,
    action: &str,
    fields: &[(&str, &str)],
) -> Result<Result<Zeroizing<String>, Failure>, Error> {
    let credentials = client.credentials(call, verb).await?;
    let place = client.settings.iam();
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("Action", action), ("Version", VERSION)])
        .extend_pairs(fields)
        .finish()
        // As AWS's own programs write it; the serializer leaves this one.
        .replace('*', "%2A");
    let request = Request {
        service: "iam",
        address: &place.address,
        region: place.region,
        headers: vec![("content-type", FORM)],
        body: Zeroizing::new(body),
    };
    Ok(request.send(&client.http, credentials).await.and_then(|answer| {
        let text = answer.text().ok_or(Failure::Lost);
        if answer.is_success() {
            return text.map(|text| Zeroizing::new(text.to_owned()));
        }
        let read = text.ok().and_then(Answer::read);
        Err(answer.refusal(read.as_ref().and_then(|answer| answer.root().text("Code"))))
    }))
}
