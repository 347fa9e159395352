//! A certificate as far as it matters to a rotation, and whether a key is its.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use remint_contract::{Material, OperationId, RightsChange};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer as _, GeneralName, ParsedExtension, X509Certificate};

/// How the name begins that says which operation asked for a certificate.
pub const NAME: &str = "urn:remint:";

/// What stands in a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// `0a:1b:…`, without the zero that only says that a number is positive.
    pub serial: String,
    pub subject: String,
    /// Whoever signed it, as a subject.
    pub issuer: String,
    /// The operation that asked for it, when it says so.
    pub operation: Option<String>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    pub is_authority: bool,
    pub common_name: Option<String>,
    /// Names and uses, as words.
    pub rights: BTreeSet<String>,
}

/// The name for an operation.
#[must_use]
pub fn uri(operation: &OperationId) -> String {
    format!("{NAME}{}", utf8_percent_encode(&operation.0, NON_ALPHANUMERIC))
}

/// The first certificate of a PEM text, as DER.
#[must_use]
pub fn der(pem: &str) -> Option<CertificateDer<'static>> {
    CertificateDer::from_pem_slice(pem.as_bytes()).ok()
}

/// A PEM block.
#[must_use]
pub fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let mut block = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        block.push_str(&String::from_utf8_lossy(line));
        block.push('\n');
    }
    block.push_str("-----END ");
    block.push_str(label);
    block.push_str("-----\n");
    block
}

impl Certificate {
    /// The certificate of a pair (user name: the chain, secret: the key, both PEM), when the key is its.
    #[must_use]
    pub fn of(material: &Material) -> Option<Self> {
        let pem = material.username.as_deref()?;
        Self::pair(pem, material.secret.expose())
    }

    /// The first certificate of a chain, when the key is its.
    #[must_use]
    pub fn pair(chain: &str, key: &[u8]) -> Option<Self> {
        let key = PrivateKeyDer::from_pem_slice(key).ok()?;
        let pair = CertifiedKey::new(vec![der(chain)?], any_supported_type(&key).ok()?);
        pair.keys_match().ok()?;
        Self::read(chain)
    }

    /// The first certificate of a PEM text.
    #[must_use]
    pub fn read(pem: &str) -> Option<Self> {
        Self::from_der(&der(pem)?)
    }

    /// A certificate as it goes over the wire.
    #[must_use]
    pub fn from_der(der: &[u8]) -> Option<Self> {
        let (_, read) = X509Certificate::from_der(der).ok()?;
        let moment = |time: &x509_parser::prelude::ASN1Time| Timestamp::from_second(time.timestamp()).ok();
        let (mut operation, mut rights) = (None, BTreeSet::new());
        for extension in read.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::SubjectAlternativeName(names) => {
                    for name in &names.general_names {
                        match name {
                            GeneralName::URI(uri) if uri.starts_with(NAME) => {
                                operation = percent_decode_str(&uri[NAME.len()..]).decode_utf8().ok().map(Into::into);
                            }
                            name => drop(rights.insert(format!("name {name}"))),
                        }
                    }
                }
                ParsedExtension::ExtendedKeyUsage(uses) => {
                    let uses = [
                        ("any use", uses.any),
                        ("use as a server", uses.server_auth),
                        ("use as a client", uses.client_auth),
                        ("use to sign code", uses.code_signing),
                        ("use to sign mail", uses.email_protection),
                    ];
                    rights.extend(uses.iter().filter(|(_, held)| *held).map(|(word, _)| (*word).to_owned()));
                }
                _ => {}
            }
        }
        Some(Self {
            serial: serial(read.raw_serial()),
            subject: read.subject().to_string(),
            issuer: read.issuer().to_string(),
            operation,
            since: moment(&read.validity().not_before),
            until: moment(&read.validity().not_after),
            is_authority: read.is_ca(),
            common_name: read.subject().iter_common_name().next().and_then(|name| name.as_str().ok()).map(Into::into),
            rights,
        })
    }

    /// Did the key of this authority sign the first certificate of the text?
    #[must_use]
    pub fn signed(pem: &str, authority: &str) -> bool {
        let (Some(child), Some(parent)) = (der(pem), der(authority)) else { return false };
        let (Ok((_, child)), Ok((_, parent))) = (X509Certificate::from_der(&child), X509Certificate::from_der(&parent))
        else {
            return false;
        };
        child.issuer() == parent.subject() && child.verify_signature(Some(parent.public_key())).is_ok()
    }

    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now > until)
    }

    /// How this one's names and uses differ from another's.
    #[must_use]
    pub fn against(&self, old: &Self) -> RightsChange {
        if self.subject != old.subject {
            return RightsChange::OtherIdentity(self.subject.clone());
        }
        let missing = |from: &BTreeSet<String>, of: &BTreeSet<String>| from.difference(of).cloned().collect::<Vec<_>>();
        let (added, lost) = (missing(&self.rights, &old.rights), missing(&old.rights, &self.rights));
        match (added.is_empty(), lost.is_empty()) {
            (true, true) => RightsChange::Equal,
            (true, false) => RightsChange::Narrower(lost),
            (false, _) => RightsChange::Broader(added),
        }
    }
}

/// A serial number as it is written here.
pub(crate) fn serial(bytes: &[u8]) -> String {
    let bytes = if let [0, rest @ ..] = bytes { rest } else { bytes };
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}
