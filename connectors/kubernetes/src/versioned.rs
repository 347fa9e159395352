//! Secrets as a store of immutable versions: `db` is `db-1`, `db-2`, …, the newest being what a new reader is given.
//!
//! Flow: the versions are listed by label, the new fields are laid over the newest one's, and a Secret of the next number
//! is created. Guarantees: no version ever changes; of two writers one gets the number and the other a Conflict; only what
//! carries our label is destroyed, and never the newest. A Secret of the bare name that somebody else made is where the
//! first version is made from, and is never touched. Workloads move to the newest version when they are reloaded.

use remint_contract::{Call, Error, ErrorKind, ReadBack, Verb, WriteRequest, Written};

use crate::client::Client;
use crate::fields;
use crate::place::{CORE, Place, collection};
use crate::request::Request;
use crate::secret::{self, Data, OPERATION, Secret, VERSION, VERSION_OF, Wanted};
use crate::store::{holds, missing};

pub(crate) async fn write(client: &Client, call: &Call, request: &WriteRequest) -> Result<Written, Error> {
    let verb = Verb::Write;
    fields::fits(&request.fields)?;
    let place = Place::parse(verb, &request.path, &client.settings.namespace)?;
    let newest = match newest(client, call, verb, &place).await? {
        Some(newest) => Some(newest),
        None => secret::find(client, call, verb, &place).await?.map(|secret| (0, secret)),
    };
    let there = newest.as_ref().map(|(_, secret)| secret.data()).unwrap_or_default();
    let number = newest.as_ref().map_or(0, |(number, _)| *number);
    if number > 0 && holds(&there, &request.fields) {
        return Ok(Written { version: number.to_string() });
    }
    if request.expect.as_ref().is_some_and(|expected| *expected != number.to_string()) {
        return Err(Error::new(ErrorKind::Conflict, verb, "another version is the newest by now")
            .with("secret", place.to_string()));
    }
    let keys = fields::encode(&there, &request.fields, verb)?;
    let next = named(&place, number + 1);
    let mut wanted = Wanted::at(&next);
    wanted.metadata.labels.insert(VERSION_OF, place.name.clone());
    wanted.metadata.labels.insert(VERSION, (number + 1).to_string());
    wanted.metadata.annotations.insert(OPERATION, call.operation.0.clone());
    wanted.immutable = Some(true);
    let sort = newest.as_ref().map_or_else(|| fields::sort(&keys), |(_, secret)| secret.sort.as_str());
    wanted.sort = Some(sort);
    wanted.data = there.into_iter().chain(keys).map(|(key, value)| (key, Data(value))).collect();
    let request = Request::create(verb, &collection(CORE, &place.namespace, "secrets"), &wanted);
    let answer = client.act(call, &request).await?;
    answer.done("the Secret").map_err(|failure| failure.with("secret", next.to_string()))?;
    Ok(Written { version: (number + 1).to_string() })
}

pub(crate) async fn read(client: &Client, call: &Call, path: &str) -> Result<ReadBack, Error> {
    let verb = Verb::Read;
    let place = Place::parse(verb, path, &client.settings.namespace)?;
    let found = match newest(client, call, verb, &place).await? {
        Some(newest) => Some(newest),
        None => secret::find(client, call, verb, &place).await?.map(|secret| (0, secret)),
    };
    let (number, secret) = found.ok_or_else(|| missing(verb, &place))?;
    Ok(ReadBack { version: number.to_string(), fields: fields::decode(secret.data()) })
}

pub(crate) async fn versions(client: &Client, call: &Call, path: &str) -> Result<Vec<String>, Error> {
    let place = Place::parse(Verb::Versions, path, &client.settings.namespace)?;
    let all = all(client, call, Verb::Versions, &place).await?;
    Ok(all.iter().map(|(number, _)| number.to_string()).collect())
}

pub(crate) async fn destroy(client: &Client, call: &Call, path: &str, version: &str) -> Result<(), Error> {
    let verb = Verb::DestroyVersion;
    let place = Place::parse(verb, path, &client.settings.namespace)?;
    let number: u64 = version.parse().map_err(|_| {
        Error::new(ErrorKind::Invalid, verb, "versions of this store are numbers").with("version", version)
    })?;
    let all = all(client, call, verb, &place).await?;
    if all.first().is_some_and(|(newest, _)| *newest == number) {
        let message = "this is the newest version; write another one first";
        return Err(Error::new(ErrorKind::Conflict, verb, message).with("version", version));
    }
    let Some((_, secret)) = all.iter().find(|(one, _)| *one == number) else { return Ok(()) };
    let path = named(&place, number).path(CORE, "secrets");
    let answer = client.act(call, &Request::delete(verb, path, &secret.metadata.uid)).await?;
    // Gone meanwhile, or another one by that name.
    if matches!(answer.status, 404 | 409) { Ok(()) } else { answer.done("the Secret") }
}

/// The newest version of ours.
pub(crate) async fn newest(
    client: &Client,
    call: &Call,
    verb: Verb,
    place: &Place,
) -> Result<Option<(u64, Secret)>, Error> {
    Ok(all(client, call, verb, place).await?.into_iter().next())
}

/// Every version of ours, newest first.
async fn all(client: &Client, call: &Call, verb: Verb, place: &Place) -> Result<Vec<(u64, Secret)>, Error> {
    let selector = format!("labelSelector={VERSION_OF}%3D{}", place.name);
    let found = secret::list(client, call, verb, &place.namespace, &selector).await?;
    let mut numbered: Vec<_> = found.into_iter().filter_map(|secret| Some((number(place, &secret)?, secret))).collect();
    numbered.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    Ok(numbered)
}

/// The number of a version that is what its name says: a label alone could be anybody's.
fn number(place: &Place, secret: &Secret) -> Option<u64> {
    let number = secret.metadata.labels.get(VERSION)?.parse().ok()?;
    (secret.immutable == Some(true) && secret.metadata.name == named(place, number).name).then_some(number)
}

pub(crate) fn named(place: &Place, number: u64) -> Place {
    Place { namespace: place.namespace.clone(), name: format!("{}-{number}", place.name) }
}

/// Is this Secret the bare one or a version of it?
pub(crate) fn is_version(base: &str, name: &str) -> bool {
    let number = name.strip_prefix(base).map(|rest| rest.strip_prefix('-'));
    name == base
        || matches!(number, Some(Some(number)) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_the_name_and_a_number() {
        assert!(is_version("db", "db") && is_version("db", "db-12"));
        for other in ["db-", "db-x", "db-1x", "db12", "other-db-1", "db-1-2"] {
            assert!(!is_version("db", other), "{other}");
        }
    }
}
