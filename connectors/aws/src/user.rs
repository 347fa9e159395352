//! A user of an account as IAM tells of it: its access keys, and the mark that Remint leaves on it.

use jiff::Timestamp;
use remint_contract::{Call, Error, ErrorKind, OperationId, Verb, VersionId};

use crate::client::Client;
use crate::error::Failure;
use crate::query::ask;
use crate::xml::{Answer, Node};

/// The tag that says which operation mints. A key cannot hold a label, its user can.
const TAG: &str = "remint.dev/mint";

/// One access key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) user: String,
    pub(crate) id: String,
    pub(crate) active: bool,
    pub(crate) created: Option<Timestamp>,
}

/// What the tag says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mark {
    /// The operation meant to mint, and these were there before.
    Intended { operation: OperationId, before: Vec<String> },
    /// It did.
    Made { operation: OperationId, id: String },
}

impl Key {
    pub(crate) fn version(&self) -> VersionId {
        VersionId(self.id.clone())
    }
}

impl Mark {
    fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let operation = OperationId(words.next()?.to_owned());
        match words.next()? {
            "before" => Some(Self::Intended { operation, before: words.map(str::to_owned).collect() }),
            "made" => Some(Self::Made { operation, id: words.next()?.to_owned() }),
            _ => None,
        }
    }

    fn write(&self) -> String {
        match self {
            Self::Intended { operation, before } if before.is_empty() => format!("{operation} before"),
            Self::Intended { operation, before } => format!("{operation} before {}", before.join(" ")),
            Self::Made { operation, id } => format!("{operation} made {id}"),
        }
    }

    /// The operation that made a key, as far as that is known.
    pub(crate) fn operation_of(&self, id: &str) -> Option<OperationId> {
        match self {
            Self::Intended { operation, before } if !before.iter().any(|known| known == id) => Some(operation.clone()),
            Self::Made { operation, id: made } if made == id => Some(operation.clone()),
            _ => None,
        }
    }
}

/// Every access key of a user, disabled ones too.
pub(crate) async fn keys(client: &Client, call: &Call, verb: Verb, user: &str) -> Result<Vec<Key>, Error> {
    let read = |node: Node<'_>| {
        Some(Key {
            user: node.text("UserName")?.to_owned(),
            id: node.text("AccessKeyId")?.to_owned(),
            active: node.text("Status") == Some("Active"),
            created: node.text("CreateDate").and_then(|date| date.parse().ok()),
        })
    };
    pages(client, call, verb, "ListAccessKeys", &[("UserName", user)], read).await
}

/// Every user of the account.
pub(crate) async fn all(client: &Client, call: &Call, verb: Verb) -> Result<Vec<String>, Error> {
    pages(client, call, verb, "ListUsers", &[], |node| node.text("UserName").map(str::to_owned)).await
}

/// The mark that a user bears.
pub(crate) async fn mark(client: &Client, call: &Call, verb: Verb, user: &str) -> Result<Option<Mark>, Error> {
    let read = |node: Node<'_>| Some((node.text("Key")?.to_owned(), node.text("Value").unwrap_or_default().to_owned()));
    let tags = pages(client, call, verb, "ListUserTags", &[("UserName", user)], read).await?;
    Ok(tags.into_iter().find(|(key, _)| key == TAG).and_then(|(_, value)| Mark::read(&value)))
}

/// Puts a mark on a user; a later one takes its place.
pub(crate) async fn put_mark(client: &Client, call: &Call, verb: Verb, user: &str, mark: &Mark) -> Result<(), Error> {
    let value = mark.write();
    let fields = [("UserName", user), ("Tags.member.1.Key", TAG), ("Tags.member.1.Value", value.as_str())];
    // A mark that may or may not be there changes nothing for anybody: nothing is open.
    let answer = ask(client, call, Verb::Check, "TagUser", &fields).await?;
    answer.map(drop).map_err(|failure| Error { verb, ..failure.error(Verb::Check, "the mark") }.with("user", user))
}

/// A list, page by page.
async fn pages<T>(
    client: &Client,
    call: &Call,
    verb: Verb,
    action: &str,
    fields: &[(&str, &str)],
    read: impl Fn(Node<'_>) -> Option<T>,
) -> Result<Vec<T>, Error> {
    let (mut found, mut marker) = (Vec::new(), None::<String>);
    loop {
        let mut fields = fields.to_vec();
        fields.extend(marker.as_deref().map(|marker| ("Marker", marker)));
        let failed = |failure: Failure| {
            // Looking leaves nothing open, whatever it is for.
            let error = Error { verb, ..failure.error(Verb::Check, "the list") };
            fields
                .iter()
                .filter(|(name, _)| *name == "UserName")
                .fold(error, |error, (_, user)| error.with("user", *user))
        };
        let text = ask(client, call, verb, action, &fields).await?.map_err(failed)?;
        let not_read = || Error::new(ErrorKind::Unreachable, verb, format!("the answer to {action} is not understood"));
        let answer = Answer::read(&text).ok_or_else(not_read)?;
        for member in answer.root().all("member") {
            found.push(read(member).ok_or_else(not_read)?);
        }
        if answer.root().text("IsTruncated") != Some("true") {
            return Ok(found);
        }
        let next = answer.root().text("Marker").map(str::to_owned);
        // A list that goes in circles would never end.
        if next.is_none() || next == marker {
            return Err(not_read());
        }
        marker = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_reads_back_and_says_whose_a_key_is() {
        let operation = OperationId("op-1".to_owned());
        let mark = Mark::Intended { operation: operation.clone(), before: vec!["AKIA1".into()] };
        assert_eq!(Mark::read(&mark.write()).as_ref(), Some(&mark));
        assert_eq!((mark.operation_of("AKIA1"), mark.operation_of("AKIA2")), (None, Some(operation.clone())));
        let made = Mark::Made { operation: operation.clone(), id: "AKIA2".into() };
        assert_eq!(Mark::read(&made.write()).as_ref(), Some(&made));
        assert_eq!((made.operation_of("AKIA3"), made.operation_of("AKIA2")), (None, Some(operation.clone())));
        let first = Mark::Intended { operation, before: Vec::new() };
        assert_eq!(Mark::read(&first.write()), Some(first));
        assert_eq!(Mark::read("something else"), None);
    }
}
