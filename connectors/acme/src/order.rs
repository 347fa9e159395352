//! One order: its challenges answered, its certificate fetched, and what it left when its answer was lost.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use instant_acme::{Account, AuthorizationStatus, ChallengeType, NewOrder, Order, OrderStatus, RetryPolicy};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use remint_certificate::{Certificate, Ledger, Record, replace};
use remint_contract::{
    Call, Clock as _, Error, ErrorKind, Material, Minted, SecretValue, SystemClock, Verb, VersionId,
};
use serde::{Deserialize, Serialize};

use crate::challenge;
use crate::config::{Challenge, Settings, identifiers};
use crate::dns;
use crate::error::{class, file};

const VERB: Verb = Verb::Mint;

/// What is ours of an order: the settings, and the commands that the daemon's configuration allows.
#[derive(Clone, Copy)]
pub(crate) struct Ours<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) commands: &'a BTreeMap<String, Vec<String>>,
}

/// An order that is not known to be over.
#[derive(Serialize, Deserialize)]
struct Open {
    url: String,
    target: String,
}

pub(crate) fn ledger(settings: &Settings) -> Ledger {
    Ledger::new(settings.folder.join("issued"))
}

/// Orders a certificate for these names.
pub(crate) async fn issue(
    ours: Ours<'_>,
    account: &Account,
    call: &Call,
    target: &str,
    names: &[String],
) -> Result<Minted, Error> {
    let settings = ours.settings;
    let failed = |what| move |failure| class(VERB, what, failure);
    let names_asked = identifiers(names);
    let mut order = account.new_order(&NewOrder::new(&names_asked)).await.map_err(failed("ordering"))?;
    let open = Open { url: order.url().to_owned(), target: target.to_owned() };
    let note = place(settings, &call.operation.0);
    keep(&note, &open).map_err(|failure| file(VERB, "writing the order down", failure))?;
    let retries = patience(call);
    authorize(ours, &mut order, &retries).await?;
    let unmade = |failure: rcgen::Error| {
        Error::new(ErrorKind::Invalid, VERB, "the request for the certificate cannot be made").because(failure)
    };
    let key = KeyPair::generate().map_err(unmade)?;
    let mut params = CertificateParams::new(names).map_err(unmade)?;
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(&key).map_err(unmade)?;
    order.finalize_csr(request.der()).await.map_err(failed("finishing the order"))?;
    // The server makes it now, whatever keeps us from having it: `recover` asks what became of the order.
    let unfetched = |failure| Error { kind: ErrorKind::Unclear, ..class(VERB, "fetching the certificate", failure) };
    let chain = order.poll_certificate(&retries).await.map_err(unfetched)?;
    let material = Material::login(chain.clone(), SecretValue::from(key.serialize_pem()));
    let read = Certificate::of(&material).ok_or_else(|| {
        Error::new(ErrorKind::Unclear, VERB, "the server sent a certificate of another key").with("target", target)
    })?;
    let record = Record {
        serial: read.serial.clone(),
        chain,
        fingerprint: Some(material.fingerprint()),
        target: Some(target.to_owned()),
        operation: Some(call.operation.0.clone()),
        revoked: None,
    };
    ledger(settings).put(&record).map_err(|failure| {
        // The order is written down: it is found again.
        Error { kind: ErrorKind::Unclear, ..file(VERB, "writing down what was issued", failure) }
    })?;
    forget(&note);
    Ok(Minted { version: VersionId(read.serial), material })
}

/// Shows for every name that it is ours.
async fn authorize(ours: Ours<'_>, order: &mut Order, retries: &RetryPolicy) -> Result<(), Error> {
    let failed = |what| move |failure| class(VERB, what, failure);
    let kind = match &ours.settings.challenge {
        Challenge::Dns { .. } => ChallengeType::Dns01,
        Challenge::Webroot(_) | Challenge::Listen(_) => ChallengeType::Http01,
    };
    let (mut answers, mut records) = (HashMap::new(), Vec::new());
    let mut open = order.authorizations();
    while let Some(authorization) = open.next().await {
        let mut authorization = authorization.map_err(failed("reading what is to be shown"))?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let name = authorization.identifier().to_string();
        let challenge = authorization.challenge(kind.clone()).ok_or_else(|| {
            let message = "the server offers no challenge of the kind that `challenge` answers";
            Error::new(ErrorKind::Invalid, VERB, message).with("name", &name)
        })?;
        let shown = challenge.key_authorization();
        // A wildcard is shown at the name below its star.
        records.push((format!("_acme-challenge.{}", name.trim_start_matches("*.")), shown.dns_value()));
        answers.insert(challenge.token.clone(), shown.as_str().to_owned());
    }
    if answers.is_empty() {
        return Ok(());
    }
    if let Challenge::Dns { command } = &ours.settings.challenge {
        let there = dns::present(ours.commands, command, records, VERB).await?;
        let ready = ready(order, kind, retries).await;
        there.remove(VERB).await;
        return ready;
    }
    let served = challenge::serve(&ours.settings.challenge, answers).await;
    let _served = served.map_err(|failure| file(VERB, "putting the answers to the challenges in place", failure))?;
    ready(order, kind, retries).await
}

/// Has the server look at the answers, which are in place.
async fn ready(order: &mut Order, kind: ChallengeType, retries: &RetryPolicy) -> Result<(), Error> {
    let failed = |what| move |failure| class(VERB, what, failure);
    let mut open = order.authorizations();
    while let Some(authorization) = open.next().await {
        let mut authorization = authorization.map_err(failed("reading what is to be shown"))?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        if let Some(mut challenge) = authorization.challenge(kind.clone()) {
            challenge.set_ready().await.map_err(failed("saying that the answers are there"))?;
        }
    }
    match order.poll_ready(retries).await.map_err(failed("waiting for the server to look"))? {
        OrderStatus::Ready => Ok(()),
        _ => Err(Error::new(
            ErrorKind::Invalid,
            VERB,
            "the server did not find the answers to its challenges; look where port 80 of the names leads, or what their \
             name servers say",
        )),
    }
}

/// What became of a mint: the certificate that it left, and that nobody has the key of.
pub(crate) async fn left(
    settings: &Settings,
    account: &Account,
    call: &Call,
    operation: &str,
) -> Result<Option<Record>, Error> {
    let verb = Verb::Recover;
    let unread = |failure| file(verb, "reading what was issued", failure);
    let known = ledger(settings).all().map_err(unread)?;
    if let Some(record) = known.into_iter().find(|record| record.operation.as_deref() == Some(operation)) {
        return Ok(Some(record));
    }
    let note = place(settings, operation);
    let open: Open = match fs::read(&note) {
        Err(failure) if failure.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => serde_json::from_slice(&text.map_err(unread)?).map_err(|failure| unread(failure.into()))?,
    };
    let failed = |failure| class(verb, "looking at the order", failure);
    let mut order = account.order(open.url).await.map_err(failed)?;
    // Nothing comes of an order that was never finished.
    if !matches!(order.state().status, OrderStatus::Processing | OrderStatus::Valid) {
        forget(&note);
        return Ok(None);
    }
    let chain = order.poll_certificate(&patience(call)).await.map_err(failed)?;
    let serial = Certificate::read(&chain)
        .map(|read| read.serial)
        .ok_or_else(|| Error::new(ErrorKind::Unclear, verb, "the certificate of the order is not understood"))?;
    let (target, operation) = (Some(open.target), Some(operation.to_owned()));
    let record = Record { serial, chain, fingerprint: None, target, operation, revoked: None };
    ledger(settings).put(&record).map_err(|failure| file(verb, "writing down what was issued", failure))?;
    forget(&note);
    Ok(Some(record))
}

/// Until the call is over.
fn patience(call: &Call) -> RetryPolicy {
    let left = call.deadline.duration_since(SystemClock.now());
    RetryPolicy::new()
        .initial_delay(Duration::from_millis(100))
        .timeout(left.unsigned_abs().clamp(Duration::from_secs(1), LONGEST))
}

/// However late the call may end.
const LONGEST: Duration = Duration::from_mins(10);

fn place(settings: &Settings, operation: &str) -> PathBuf {
    let name: String =
        operation.chars().map(|one| if one.is_ascii_alphanumeric() || one == '-' { one } else { '_' }).collect();
    settings.folder.join("orders").join(format!("{name}.json"))
}

fn keep(path: &Path, open: &Open) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    replace(path, &serde_json::to_vec(open)?, 0o600)
}

fn forget(path: &Path) {
    // One that stays is looked at again, and found to be over.
    let _ = fs::remove_file(path);
}
