//! Trying a certificate: is it on the list, and what do those say who rely on it?

use jiff::Timestamp;
use remint_certificate::{Certificate, Record, Relying, judge, on_list};
use remint_contract::{Error, ErrorKind, Material, Target, Verb, Verdict};

use crate::authority::Authority;
use crate::config::{Place, Settings};
use crate::connector::blocking;
use crate::list;
use crate::target::Wanted;

const VERB: Verb = Verb::Probe;

/// A list that is larger is not read.
const LARGEST: usize = 64 << 20;

/// What is shown: a chain and its key as PEM, who signed it, and the number that a list would have.
struct Shown {
    authority: Authority,
    signer: Record,
    chain: String,
    number: String,
}

pub(crate) async fn probe(
    http: &reqwest::Client,
    settings: &Settings,
    target: &Target,
    material: &Material,
    endpoint: usize,
    now: Timestamp,
) -> Result<Verdict, Error> {
    let (listed, relying) =
        (settings.lists.get(endpoint), settings.relying.get(endpoint.wrapping_sub(settings.lists.len())));
    if listed.is_none() && relying.is_none() {
        let failure = Error::new(ErrorKind::Invalid, VERB, "there is no such endpoint");
        return Err(failure.with("endpoint", endpoint.to_string()));
    }
    let wanted = Wanted::of(VERB, target)?;
    let (root, value) = (settings.folder.clone(), material.clone());
    let shown = match blocking(VERB, move || shown(&root, &wanted, &value)).await? {
        Seen::Pair(shown) => shown,
        Seen::None => return Ok(Verdict::Denied),
        Seen::Stranger => {
            return Ok(Verdict::Unclear("no generation of the authority signed this certificate".to_owned()));
        }
    };
    match (listed, relying) {
        (Some(place), _) => Ok(look(http, place, &shown, now).await),
        (None, Some(relying)) => {
            let roots = match &relying.roots {
                Some(path) => tokio::fs::read_to_string(path).await.map_err(|failure| {
                    let message = "the roots of a relying party cannot be read";
                    Error::new(ErrorKind::Invalid, VERB, message)
                        .with("file", path.display().to_string())
                        .because(failure)
                })?,
                None => shown.authority.roots()?,
            };
            let relying = Relying { address: relying.address.clone(), roots };
            Ok(judge(&relying, &shown.chain, material.secret.expose()).await)
        }
        (None, None) => Err(Error::new(ErrorKind::Invalid, VERB, "there is no such endpoint")),
    }
}

enum Seen {
    Pair(Box<Shown>),
    /// It is no pair, so it was never issued.
    None,
    /// A pair of somebody else's.
    Stranger,
}

fn shown(root: &std::path::Path, wanted: &Wanted, material: &Material) -> Result<Seen, Error> {
    let authority = Authority::open(root, &wanted.authority, VERB)?;
    let Some((chain, read)) = pair(wanted, material) else { return Ok(Seen::None) };
    let Some(signer) = authority.signer(&chain)? else { return Ok(Seen::Stranger) };
    // Of an authority the list is asked for its own number.
    let number = if wanted.leaf.is_some() { read.serial } else { signer.serial.clone() };
    Ok(Seen::Pair(Box::new(Shown { authority, signer, chain, number })))
}

/// The chain and its first certificate, when the key is its. Of an authority it is the one that shows what it signed.
pub(crate) fn pair(wanted: &Wanted, material: &Material) -> Option<(String, Certificate)> {
    if wanted.leaf.is_some() {
        return Some((material.username.clone()?, Certificate::of(material)?));
    }
    let chain = material.secret.expose_str()?;
    let read = Certificate::pair(chain, material.secret.expose())?;
    let own = material.username.as_deref()?;
    // The key comes after the certificates and is not shown with them.
    let certificates = chain.find("-----BEGIN PRIVATE KEY-----").map_or(chain, |key| &chain[..key]);
    Certificate::signed(chain, own).then(|| (certificates.to_owned(), read))
}

async fn look(http: &reqwest::Client, place: &Place, shown: &Shown, now: Timestamp) -> Verdict {
    let name = list::name(&shown.authority, &shown.signer);
    let list = match place {
        Place::Folder(folder) => tokio::fs::read(folder.join(&name)).await.map_err(|failure| failure.to_string()),
        Place::Url(base) => fetch(http, &format!("{base}{name}")).await,
    };
    let answer = list.and_then(|list| {
        on_list(&list, &shown.signer.chain, &shown.number, now).map_err(|problem| problem.to_string())
    });
    match answer {
        Ok(true) => Verdict::Denied,
        Ok(false) => Verdict::Accepted,
        Err(why) => Verdict::Unclear(format!("{name}: {why}")),
    }
}

async fn fetch(http: &reqwest::Client, url: &str) -> Result<Vec<u8>, String> {
    let said = |failure: reqwest::Error| failure.without_url().to_string();
    let mut answer = http.get(url).send().await.map_err(said)?;
    if answer.status() != reqwest::StatusCode::OK {
        return Err(format!("the server answered {}", answer.status().as_u16()));
    }
    let mut list = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(said)? {
        if list.len() + part.len() > LARGEST {
            return Err("the list is too large".to_owned());
        }
        list.extend_from_slice(&part);
    }
    Ok(list)
}
