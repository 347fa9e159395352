//! Parameter Store (SSM) as a store: a parameter's value, encrypted, with a number for every version.
//!
//! A write is seen at once; there is neither staging nor check-and-set, so of two writers at once the later one wins.
//! AWS keeps the last hundred versions, and none of them can be destroyed alone. A write keeps the parameter's type; a
//! parameter is never made here, for its key and its tier are its owner's to choose.

use std::collections::BTreeMap;

use async_trait::async_trait;
use remint_contract::{
    Call, Capabilities, Connector, Error, ErrorKind, ReadBack, SecretValue, StoreCapabilities, Verb, WriteRequest,
    Written,
};
use serde::{Deserialize, Deserializer, Serialize};
use zeroize::Zeroizing;

use crate::client::Client;
use crate::error::Failure;
use crate::fields;
use crate::object::{Api, ask};

pub(crate) struct Parameters(pub(crate) Client);

/// Bytes of a standard parameter, by AWS's own limit.
const LARGEST: usize = 4096;
const ENCRYPTED: &str = "SecureString";

pub(crate) fn capabilities() -> Capabilities {
    Capabilities {
        verbs: [Verb::Check, Verb::Write, Verb::Read, Verb::Versions].into(),
        issuer: None,
        store: Some(StoreCapabilities { compare_and_set: false, staged: false, versioned: true, own_login: false }),
        consumer: None,
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Get<'a> {
    name: &'a str,
    with_decryption: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct History<'a> {
    name: &'a str,
    with_decryption: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Put<'a> {
    name: &'a str,
    value: &'a str,
    r#type: &'a str,
    overwrite: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Describe {
    max_results: u8,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Got {
    parameter: Parameter,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameter {
    r#type: String,
    #[serde(deserialize_with = "wiped")]
    value: Zeroizing<String>,
    version: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    parameters: Vec<Numbered>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Numbered {
    version: u64,
}

#[derive(Deserialize)]
struct Ignored {}

#[async_trait]
impl Connector for Parameters {
    fn describe(&self) -> Capabilities {
        capabilities()
    }

    async fn check(&self, call: &Call, path: Option<&str>) -> Result<(), Error> {
        let verb = Verb::Check;
        if let Some(path) = path {
            return self.parameter(call, verb, path).await.map(drop);
        }
        let asked = Describe { max_results: 1 };
        let answer = ask::<Ignored>(&self.0, Api::Ssm, call, verb, "DescribeParameters", &asked).await?;
        answer.map(drop).map_err(|failure| failure.error(verb, "the parameters"))
    }

    fn fits(&self, path: &str, fields: &BTreeMap<String, SecretValue>) -> Result<(), Error> {
        fields::fits(self.0.settings.format, path, fields, LARGEST)
    }

    async fn write(&self, call: &Call, request: &WriteRequest) -> Result<Written, Error> {
        let verb = Verb::Write;
        let (path, format) = (request.path.as_str(), self.0.settings.format);
        self.fits(path, &request.fields)?;
        let there = self.parameter(call, verb, path).await?;
        let held = fields::read(format, &there.value).ok_or_else(|| not_of_the_form(verb, path))?;
        if fields::holds(&held, &request.fields) {
            return Ok(Written { version: there.version.to_string() });
        }
        let text = fields::write(format, Some(&there.value), &request.fields);
        let text = text.ok_or_else(|| not_of_the_form(verb, path))?;
        let put = Put { name: path, value: &text, r#type: ENCRYPTED, overwrite: true };
        let answer = ask::<Numbered>(&self.0, Api::Ssm, call, verb, "PutParameter", &put).await?;
        let written = answer.map_err(|failure| failure.error(verb, "the parameter").with("path", path))?;
        Ok(Written { version: written.version.to_string() })
    }

    async fn read(&self, call: &Call, path: &str) -> Result<ReadBack, Error> {
        let verb = Verb::Read;
        let there = self.parameter(call, verb, path).await?;
        let fields = fields::read(self.0.settings.format, &there.value).ok_or_else(|| not_of_the_form(verb, path))?;
        Ok(ReadBack { version: there.version.to_string(), fields })
    }

    async fn versions(&self, call: &Call, path: &str) -> Result<Vec<String>, Error> {
        let verb = Verb::Versions;
        let (mut found, mut next) = (Vec::new(), None::<String>);
        loop {
            let asked = History { name: path, with_decryption: false, next_token: next.as_deref() };
            let page = ask::<Page>(&self.0, Api::Ssm, call, verb, "GetParameterHistory", &asked).await?;
            let page = page.map_err(|failure| looked(verb, &failure, path))?;
            found.extend(page.parameters.into_iter().map(|one| one.version));
            // A list that goes in circles would never end.
            if page.next_token.is_none() || page.next_token == next {
                break;
            }
            next = page.next_token;
        }
        found.sort_unstable_by(|one, other| other.cmp(one));
        Ok(found.into_iter().map(|version| version.to_string()).collect())
    }
}

impl Parameters {
    /// A parameter that holds a secret. One of another type is in the clear for whoever may list it.
    async fn parameter(&self, call: &Call, verb: Verb, path: &str) -> Result<Parameter, Error> {
        let asked = Get { name: path, with_decryption: true };
        let answer = ask::<Got>(&self.0, Api::Ssm, call, verb, "GetParameter", &asked).await?;
        let found = answer.map_err(|failure| looked(verb, &failure, path))?.parameter;
        if found.r#type == ENCRYPTED {
            return Ok(found);
        }
        let message = "the parameter is no SecureString, so its value lies there in the clear; make it one first";
        Err(Error::new(ErrorKind::Invalid, verb, message).with("path", path).with("type", found.r#type))
    }
}

fn wiped<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(deserializer).map(Zeroizing::new)
}

/// Looking leaves nothing open, whatever it is for.
fn looked(verb: Verb, failure: &Failure, path: &str) -> Error {
    Error { verb, ..failure.error(Verb::Read, "the parameter") }.with("path", path)
}

fn not_of_the_form(verb: Verb, path: &str) -> Error {
    let message = "what lies there is no JSON object of fields; set `format: text` where it is one value";
    Error::new(ErrorKind::Invalid, verb, message).with("path", path)
}
