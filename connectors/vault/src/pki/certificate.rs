//! A certificate as far as it matters here, whether a key is its, and whether a revocation list has it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use remint_contract::{Material, OperationId, RightsChange};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{CertificateRevocationList, FromDer as _, GeneralName, ParsedExtension, X509Certificate};

/// How the name begins that says which operation asked for a certificate.
pub(super) const NAME: &str = "urn:remint:";

pub(super) struct Certificate {
    /// `0a:1b:…`, as the server writes it.
    pub(super) serial: String,
    pub(super) subject: String,
    pub(super) operation: Option<String>,
    pub(super) since: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    pub(super) is_authority: bool,
    common_name: Option<String>,
    /// Names and uses, as words.
    rights: BTreeSet<String>,
}

/// The name for an operation.
pub(super) fn name(operation: &OperationId) -> String {
    format!("{NAME}{}", utf8_percent_encode(&operation.0, NON_ALPHANUMERIC))
}

impl Certificate {
    /// The certificate of a pair, when the key is its.
    pub(super) fn of(material: &Material) -> Option<Self> {
        let pem = material.username.as_deref()?;
        let key = PrivateKeyDer::from_pem_slice(material.secret.expose()).ok()?;
        let chain = vec![CertificateDer::from_pem_slice(pem.as_bytes()).ok()?];
        let pair = CertifiedKey::new(chain, any_supported_type(&key).ok()?);
        pair.keys_match().ok()?;
        Self::read(pem)
    }

    /// The first certificate of a PEM text.
    pub(super) fn read(pem: &str) -> Option<Self> {
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
        let (_, read) = X509Certificate::from_der(&der).ok()?;
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
            operation,
            since: moment(&read.validity().not_before),
            until: moment(&read.validity().not_after),
            is_authority: read.is_ca(),
            common_name: read.subject().iter_common_name().next().and_then(|name| name.as_str().ok()).map(Into::into),
            rights,
        })
    }

    pub(super) fn is_for(&self, common_name: &str) -> bool {
        self.common_name.as_deref() == Some(common_name)
    }

    pub(super) fn is_over(&self, now: Option<Timestamp>) -> bool {
        now.zip(self.until).is_some_and(|(now, until)| now > until)
    }

    /// How this one's names and uses differ from another's.
    pub(super) fn against(&self, old: &Self) -> RightsChange {
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

/// Is the serial number on the list? Not said by a list that cannot be read, or that should have been followed by another.
pub(super) fn listed(list: &[u8], number: &str, now: Option<Timestamp>) -> Result<bool, &'static str> {
    let (_, read) = CertificateRevocationList::from_der(list).map_err(|_| "the revocation list is not understood")?;
    let next = read.next_update().and_then(|time| Timestamp::from_second(time.timestamp()).ok());
    if now.zip(next).is_some_and(|(now, next)| now > next) {
        return Err("the revocation list is old: a newer one is due");
    }
    Ok(read.iter_revoked_certificates().any(|revoked| serial(revoked.raw_serial()) == number))
}

fn serial(bytes: &[u8]) -> String {
    // A number whose first bit is set has a zero before it, which the server leaves out.
    let bytes = if let [0, rest @ ..] = bytes { rest } else { bytes };
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}
