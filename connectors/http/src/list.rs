//! Every token of a target, page by page.

use jiff::Timestamp;
use remint_contract::{Call, Error, ErrorKind, Target, Verb};
use serde_json::Value;
use url::Url;

use crate::client::{Reply, Request};
use crate::connector::not_there;
use crate::issuer::Office;
use crate::recipe::{List, Method, Pages};

/// A token of the list.
pub(crate) struct Listed {
    pub(crate) version: String,
    pub(crate) label: String,
    pub(crate) created: Option<Timestamp>,
}

impl Office<'_> {
    /// Where the tokens of a target are listed.
    pub(crate) fn place(&self, verb: Verb, call: &Call, target: &Target) -> Result<Url, Error> {
        self.vendor.client.address(verb, &self.lists(verb)?.call, &self.vendor.values(call, Some(target)))
    }

    fn lists(&self, verb: Verb) -> Result<&List, Error> {
        self.issuer.list.as_ref().ok_or_else(|| Error::unsupported(verb))
    }

    pub(crate) async fn list(&self, verb: Verb, call: &Call, target: &Target) -> Result<Vec<Listed>, Error> {
        let (list, client) = (self.lists(verb)?, &self.vendor.client);
        let base = self.place(verb, call, target)?;
        let mut found = Vec::new();
        let mut next = Some(base.clone());
        for number in 1..=PAGES {
            let Some(mut address) = next.take() else { return Ok(found) };
            if let Pages::Numbered { parameter, .. } = &list.pages {
                address.query_pairs_mut().append_pair(parameter, &number.to_string());
            }
            let bearer = call.actor.as_deref();
            let reply = client.ask(Request { verb, method: Method::Get, address, bearer, body: None }).await?;
            let link = linked(&reply);
            let page = reply.json()?;
            let items = page.pointer(&list.items).and_then(Value::as_array);
            let items = items.ok_or_else(|| not_there(verb, "the list"))?;
            for item in items {
                let version = self.version(verb, item, &list.version)?;
                let label = text(item.pointer(&list.label)).unwrap_or_default();
                let created = list.created.as_ref().and_then(|at| moment(item.pointer(at)));
                found.push(Listed { version, label, created });
            }
            next = match &list.pages {
                Pages::One => None,
                Pages::Numbered { size, .. } => (items.len() >= *size).then(|| base.clone()),
                Pages::Link => match link {
                    None => None,
                    Some(link) => Some(link.parse().ok().filter(|link| client.is_own(link)).ok_or_else(|| {
                        Error::new(ErrorKind::Invalid, verb, "the list's next page is not on this host; it is not read")
                    })?),
                },
            };
        }
        // A list that never ends must not be taken for a whole one.
        Err(Error::new(ErrorKind::Invalid, verb, format!("the list has more than {PAGES} pages")))
    }
}

/// An id or a name: text, or a number.
pub(crate) fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A moment, or a day: its midnight in UTC.
pub(crate) fn moment(value: Option<&Value>) -> Option<Timestamp> {
    let text = value?.as_str()?;
    let day = || text.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
    text.parse().ok().or_else(|| day().map(|day| day.timestamp()))
}

/// The next page by the header `Link`.
fn linked(reply: &Reply) -> Option<String> {
    let links = reply.headers.get_all("link").iter().filter_map(|value| value.to_str().ok());
    let next = links.flat_map(|text| text.split(',')).find(|link| link.contains("rel=\"next\""))?;
    Some(next.split_once('<')?.1.split_once('>')?.0.to_owned())
}

/// More than any target has tokens for.
const PAGES: usize = 1000;
