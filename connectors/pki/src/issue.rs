//! Making certificates: a leaf, or a new generation of an authority.

use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CrlDistributionPoint, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use remint_certificate::{Certificate, Record, uri};
use remint_contract::{Error, ErrorKind, Material, Minted, OperationId, SecretValue, Verb, VersionId};
use time::OffsetDateTime;

use crate::authority::{Authority, proof_of};
use crate::config::Settings;
use crate::error::unmakeable;
use crate::list;
use crate::target::{Leaf, Use, Wanted};

const VERB: Verb = Verb::Mint;

/// A leaf of the generation that signs.
pub(crate) fn leaf(
    settings: &Settings,
    wanted: &Wanted,
    leaf: &Leaf,
    target: &str,
    operation: &OperationId,
    now: Timestamp,
) -> Result<Minted, Error> {
    let authority = Authority::open(&settings.folder, &wanted.authority, VERB)?;
    let _lock = authority.lock()?;
    let signer = authority.active()?.ok_or_else(|| {
        let message = "no generation of the authority signs; mint and activate one first";
        Error::new(ErrorKind::Missing, VERB, message).with("authority", &authority.name)
    })?;
    let params = leaf_params(settings, &authority, &signer, wanted, leaf, operation, now)?;
    let (record, material) = sign(&authority, &signer, &params, target, operation)?;
    list::refresh(settings, &authority, now)?;
    Ok(Minted { version: VersionId(record.serial), material })
}

/// A new generation. It signs nothing before it is activated, unless it is the first.
///
/// What it gives away is its certificate and, to be tried, a client certificate that it signed: its key stays here.
pub(crate) fn generation(
    settings: &Settings,
    wanted: &Wanted,
    operation: &OperationId,
    now: Timestamp,
) -> Result<Minted, Error> {
    let authority = Authority::open(&settings.folder, &wanted.authority, VERB)?;
    let _lock = authority.lock()?;
    let first = authority.generations()?.is_empty();
    let failed = |failure| unmakeable(VERB, "the authority", failure);
    let mut params = CertificateParams::new(Vec::new()).map_err(failed)?;
    lives(&mut params, now, wanted.life);
    params.distinguished_name.push(DnType::CommonName, wanted.common_name.as_str());
    // Two generations are two names: who checks lists finds the right one by it.
    params.distinguished_name.push(DnType::OrganizationalUnitName, short(&operation.0));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.subject_alt_names.push(named(operation)?);
    let key = KeyPair::generate().map_err(failed)?;
    let made = params.self_signed(&key).map_err(failed)?.pem();
    let serial = read(&made)?.serial;
    let record = Record {
        serial: serial.clone(),
        chain: made.clone(),
        fingerprint: None,
        target: Some(authority.name.clone()),
        operation: Some(operation.0.clone()),
        revoked: None,
    };
    authority.keep(&record, &SecretValue::from(key.serialize_pem()))?;
    let shown = Wanted { common_name: format!("proof of {}", authority.name), ..wanted.clone() };
    let client = Leaf { alt_names: Vec::new(), uses: vec![Use::Client] };
    let params = leaf_params(settings, &authority, &record, &shown, &client, operation, now)?;
    let (_, proof) = sign(&authority, &record, &params, &proof_of(&serial), operation)?;
    list::write(settings, &authority, &record, now)?;
    if first {
        authority.activate(&serial)?;
    }
    let secret = [proof.username.unwrap_or_default().as_bytes(), proof.secret.expose()].concat();
    Ok(Minted { version: VersionId(serial), material: Material::login(made.trim(), SecretValue::new(secret)) })
}

fn leaf_params(
    settings: &Settings,
    authority: &Authority,
    signer: &Record,
    wanted: &Wanted,
    leaf: &Leaf,
    operation: &OperationId,
    now: Timestamp,
) -> Result<CertificateParams, Error> {
    let mut names = leaf.alt_names.clone();
    if leaf.uses.contains(&Use::Server) && !names.contains(&wanted.common_name) {
        names.push(wanted.common_name.clone());
    }
    let mut params = CertificateParams::new(names).map_err(|failure| unmakeable(VERB, "the certificate", failure))?;
    lives(&mut params, now, wanted.life);
    // Nobody outlives who signed him.
    let end = signer.certificate().and_then(|signer| signer.until).map(moment);
    params.not_after = end.map_or(params.not_after, |end| end.min(params.not_after));
    params.distinguished_name.push(DnType::CommonName, wanted.common_name.as_str());
    params.subject_alt_names.push(named(operation)?);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = leaf
        .uses
        .iter()
        .map(|purpose| match purpose {
            Use::Server => ExtendedKeyUsagePurpose::ServerAuth,
            Use::Client => ExtendedKeyUsagePurpose::ClientAuth,
        })
        .collect();
    let name = list::name(authority, signer);
    let uris: Vec<String> = settings.addresses().map(|base| format!("{base}{name}")).collect();
    if !uris.is_empty() {
        params.crl_distribution_points.push(CrlDistributionPoint { uris });
    }
    Ok(params)
}

/// Signs, and writes down what was signed before anybody has it.
fn sign(
    authority: &Authority,
    signer: &Record,
    params: &CertificateParams,
    target: &str,
    operation: &OperationId,
) -> Result<(Record, Material), Error> {
    let failed = |failure| unmakeable(VERB, "the certificate", failure);
    let issuer = issuer(authority, signer, VERB)?;
    let key = KeyPair::generate().map_err(failed)?;
    let made = params.signed_by(&key, &issuer).map_err(failed)?.pem();
    let chain = format!("{made}{}", signer.chain);
    let material = Material::login(chain.clone(), SecretValue::from(key.serialize_pem()));
    let record = Record {
        serial: read(&made)?.serial,
        chain,
        fingerprint: Some(material.fingerprint()),
        target: Some(target.to_owned()),
        operation: Some(operation.0.clone()),
        revoked: None,
    };
    authority.note(&record)?;
    Ok((record, material))
}

/// A generation, able to sign.
pub(crate) fn issuer(authority: &Authority, signer: &Record, verb: Verb) -> Result<Issuer<'static, KeyPair>, Error> {
    let lost = |message| Error::new(ErrorKind::Invalid, verb, message).with("generation", &signer.serial);
    let key = authority.key(&signer.serial)?.ok_or_else(|| lost("the key of this generation is gone"))?;
    let unread = "the key of this generation cannot be read";
    let key = KeyPair::from_pem(key.expose_str().unwrap_or_default()).map_err(|_| lost(unread))?;
    Issuer::from_ca_cert_pem(&signer.chain, key).map_err(|_| lost("the certificate of this generation cannot be read"))
}

pub(crate) fn moment(at: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at.as_second()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// From a little ago, for clocks that are behind.
fn lives(params: &mut CertificateParams, now: Timestamp, life: Duration) {
    params.not_before = moment(now.checked_sub(BEHIND).unwrap_or(now));
    params.not_after = moment(now.checked_add(life).unwrap_or(Timestamp::MAX));
}

fn named(operation: &OperationId) -> Result<SanType, Error> {
    let name = uri(operation).try_into().map_err(|failure| unmakeable(VERB, "the name", failure))?;
    Ok(SanType::URI(name))
}

fn read(pem: &str) -> Result<Certificate, Error> {
    Certificate::read(pem).ok_or_else(|| Error::new(ErrorKind::Invalid, VERB, "the certificate made is not understood"))
}

/// As much of it as a name may hold.
fn short(text: &str) -> String {
    text.chars().take(64).collect()
}

const BEHIND: Duration = Duration::from_mins(5);
