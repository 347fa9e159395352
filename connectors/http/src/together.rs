//! Tokens that end by their values, as many in one request as there are.
//!
//! Whoever comes while a request is under way waits, and the next one takes all who wait. Whoever gave up waiting is left
//! out: nothing is sent for him later.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use remint_contract::{Call, Error, ErrorKind, SecretValue, Verb};
use tokio::sync::oneshot;

use crate::client::{Request, written};
use crate::connector::Vendor;
use crate::recipe::{Carried, Carrying, RevokeValues};

/// Who waits for a request, of one vendor.
#[derive(Default)]
pub(crate) struct Together {
    waiting: Mutex<Vec<Waiting>>,
    /// Who sends.
    turn: tokio::sync::Mutex<()>,
}

struct Waiting {
    value: SecretValue,
    told: oneshot::Sender<Result<(), Error>>,
}

impl fmt::Debug for Together {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Together").finish_non_exhaustive()
    }
}

impl Together {
    /// Has the vendor end one token, with those of whoever else waits.
    ///
    /// # Errors
    /// Of the request that carried it: the same for all of them.
    pub(crate) async fn revoke(
        &self,
        vendor: &Vendor,
        call: &Call,
        line: &RevokeValues,
        value: &SecretValue,
    ) -> Result<(), Error> {
        let (told, mut answer) = oneshot::channel();
        self.waiting().push(Waiting { value: value.clone(), told });
        loop {
            tokio::select! {
                biased;
                // Whoever sent it may have been stopped before the answer came.
                told = &mut answer => {
                    let given_up = |_| Error::new(ErrorKind::Unclear, Verb::RevokeValue, "the request was given up");
                    return told.map_err(given_up)?;
                }
                _turn = self.turn.lock() => {
                    let batch = self.next(line.most);
                    answered(vendor, call, line, batch).await;
                }
            }
        }
    }

    /// The longest waiting, as many as one request takes.
    fn next(&self, most: usize) -> Vec<Waiting> {
        let mut waiting = self.waiting();
        waiting.retain(|one| !one.told.is_closed());
        let count = waiting.len().min(most);
        waiting.drain(..count).collect()
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends a batch and tells everybody of it. One that the vendor does not take is halved until the value is found that spoils
/// it: the others do not wait for that one.
async fn answered(vendor: &Vendor, call: &Call, line: &RevokeValues, batch: Vec<Waiting>) {
    let mut left = vec![batch];
    while let Some(mut batch) = left.pop() {
        let sent = send(vendor, call, line, &batch).await;
        let refused = |error: &Error| matches!(error.kind, ErrorKind::Invalid | ErrorKind::RefusedValue);
        if batch.len() > 1 && sent.as_ref().is_err_and(refused) {
            left.push(batch.split_off(batch.len() / 2));
            left.push(batch);
            continue;
        }
        for one in batch {
            // Who gave up meanwhile asks again.
            let _ = one.told.send(sent.as_ref().map(|()| ()).map_err(again));
        }
    }
}

/// The same failure, told to another one.
fn again(error: &Error) -> Error {
    let Error { kind, verb, message, context, retry_after, .. } = error;
    let (message, context) = (message.clone(), context.clone());
    Error { context, retry_after: *retry_after, ..Error::new(*kind, *verb, message) }
}

async fn send(vendor: &Vendor, call: &Call, line: &RevokeValues, batch: &[Waiting]) -> Result<(), Error> {
    let verb = Verb::RevokeValue;
    let invalid = |message: &str| Error::new(ErrorKind::Invalid, verb, message.to_owned());
    let values: Option<Vec<&str>> = batch.iter().map(|one| one.value.expose_str()).collect();
    let values = values.ok_or_else(|| invalid("a value is no text, so it is no token"))?;
    let places = vendor.values(call, None);
    let body = line.body.fill(&places).map_err(|error| invalid(&error.to_string()))?;
    let carried = Carrying { body: &body, at: Some(&line.values), secret: Carried::Each(&values) };
    let body = written(verb, &carried)?;
    let address = vendor.client.address(verb, &line.call, &places)?;
    let asked = Request { verb, method: line.call.method, address, bearer: None, body: Some(body) };
    let reply = vendor.client.ask(asked).await?;
    if reply.status.is_success() { Ok(()) } else { Err(reply.refusal()) }
}
