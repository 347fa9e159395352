//! The webhooks' certificate, made here: sealed in the state like every secret of it, so that all daemons over one state show
//! the same; the API server is told by the one that leads.
//!
//! Guarantees: an authority signs one certificate, and its key is never kept; which one is shown, and when the next is due, is
//! [`remint_cluster::certificate`]'s to say.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::Method;
use jiff::Timestamp;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use remint_cluster::certificate::{self, Generation, LIFE};
use remint_contract::SecretValue;
use time::OffsetDateTime;

use crate::engine::record::{put, read};
use crate::escrow::{Escrow, EscrowError};
use crate::serve::cluster::{Cluster, ClusterError};
use crate::serve::tls::{Live, TlsError};
use crate::serve::{Stopping, causes};
use crate::store::{Change, Key, Rule, Store, StoreError};

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the certificate of the webhooks could not be made")]
    Make(#[from] rcgen::Error),
    #[error("the key of the webhooks' certificate could not be sealed, or does not open")]
    Sealed(#[from] EscrowError),
    #[error("the key of the webhooks' certificate {0} is gone from the store; the next one is shown when it is due")]
    Gone(u64),
    #[error(transparent)]
    Shown(#[from] TlsError),
    #[error(
        "the API server was not told who signs the webhooks' certificate: is there a configuration of this name, and may this account patch it?"
    )]
    Told(#[from] ClusterError),
}

/// The certificate that a door shows, and what became of it.
pub(in crate::serve) struct Made {
    service: String,
    live: Arc<Live>,
    /// Which generation is shown.
    shown: u64,
    /// What the API server was told last, and when.
    told: Option<(String, Timestamp)>,
}

impl Made {
    /// Makes the first one, where there is none: the API server hears of it later.
    pub(in crate::serve) async fn open(cluster: &Cluster, service: String) -> Result<Self, CertificateError> {
        let (engine, now) = (&cluster.app.engine, cluster.clock().now());
        let all = renewed(&*engine.store, &engine.escrow, &service, &cluster.at.namespace, now).await?;
        let shown = certificate::shown(&all, now).or(all.last()).ok_or(CertificateError::Gone(0))?;
        let key = key(&*engine.store, &engine.escrow, shown.number).await?;
        let live = Live::made(&shown.certificate, &key, &engine.context)?;
        Ok(Self { service, live: Arc::new(live), shown: shown.number, told: None })
    }

    pub(in crate::serve) fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live)
    }

    /// Renews it, shows it, and tells of it, until the stop.
    pub(in crate::serve) async fn run(mut self, cluster: &Cluster, every: Duration, stopping: Stopping) {
        let mut stopped = std::pin::pin!(stopping.stopped());
        loop {
            let wait = match self.look(cluster).await {
                Ok(true) => CALM,
                // Nobody leads yet, or the API server has just heard of it.
                Ok(false) => every,
                Err(error) => {
                    tracing::warn!(error = causes(&error), "the certificate of the webhooks; it is tried again");
                    CALM
                }
            };
            tokio::select! {
                () = &mut stopped => return,
                () = cluster.clock().sleep(wait) => {}
            }
        }
    }

    /// True when the API server knows of every generation.
    async fn look(&mut self, cluster: &Cluster) -> Result<bool, CertificateError> {
        let (engine, now) = (&cluster.app.engine, cluster.clock().now());
        let (store, escrow) = (&*engine.store, &*engine.escrow);
        let all = renewed(store, escrow, &self.service, &cluster.at.namespace, now).await?;
        if let Some(shown) = certificate::shown(&all, now).filter(|shown| shown.number != self.shown) {
            self.live.show(&shown.certificate, &key(store, escrow, shown.number).await?)?;
            self.shown = shown.number;
            tracing::info!(number = shown.number, until = %shown.until, "the webhooks show another certificate");
        }
        if cluster.leads.load(Ordering::SeqCst) {
            let trusted = certificate::trusted(&all, now);
            // Somebody may have taken it away since.
            let again = |at: Timestamp| now.duration_since(at).unsigned_abs() >= AGAIN;
            if self.told.as_ref().is_none_or(|(last, at)| *last != trusted || again(*at)) {
                for (path, body) in certificate::told(&self.service, &trusted) {
                    let path = format!("{path}?fieldManager=remint&force=true");
                    cluster.way.ask(Method::PATCH, &path, "application/apply-patch+yaml", &body).await?;
                }
                self.told = Some((trusted, now));
            }
            for one in all.iter().filter(|one| one.told.is_none()) {
                let told = Generation { told: Some(now), ..one.clone() };
                let puts = vec![put(KIND, id(one.number), "", &told, Rule::Upsert)?];
                store.commit(Change { puts, ..Change::default() }).await?;
            }
            return Ok(true);
        }
        Ok(all.iter().all(|one| one.told.is_some()))
    }
}

/// Every generation, by number; with the next one, when that is due. Of two daemons that make it at once one wins.
async fn renewed(
    store: &dyn Store,
    escrow: &Escrow,
    service: &str,
    space: &str,
    now: Timestamp,
) -> Result<Vec<Generation>, CertificateError> {
    let all = async || -> Result<Vec<Generation>, StoreError> {
        let mut all: Vec<Generation> = Vec::new();
        for record in store.list(KIND, None).await? {
            all.push(read(record)?);
        }
        all.sort_by_key(|one| one.number);
        Ok(all)
    };
    let there = all().await?;
    if !certificate::due(&there, now) {
        return Ok(there);
    }
    let number = there.last().map_or(1, |newest| newest.number + 1);
    let (next, key) = make(number, service, space, now)?;
    let change = Change {
        puts: vec![put(KIND, id(number), "", &next, Rule::Insert)?],
        seals: vec![escrow.seal(&seal(number), "", &key, Some(next.until))?],
        deletes: certificate::over(&there, now).map(|one| Key { kind: KIND, id: id(one.number) }).collect(),
        unseals: certificate::over(&there, now).map(|one| seal(one.number)).collect(),
        ..Change::default()
    };
    match store.commit(change).await {
        Ok(_) | Err(StoreError::Exists { .. }) => Ok(all().await?),
        Err(error) => Err(error.into()),
    }
}

fn make(
    number: u64,
    service: &str,
    space: &str,
    now: Timestamp,
) -> Result<(Generation, SecretValue), CertificateError> {
    let until = now.checked_add(LIFE).unwrap_or(Timestamp::MAX);
    let lasting = |names: Vec<String>, common: &str| -> Result<CertificateParams, rcgen::Error> {
        let mut params = CertificateParams::new(names)?;
        params.not_before = moment(now.checked_sub(BEHIND).unwrap_or(now));
        params.not_after = moment(until);
        params.distinguished_name.push(DnType::CommonName, common);
        Ok(params)
    };
    let mut signer = lasting(Vec::new(), &format!("remint webhooks {number}"))?;
    signer.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let signer = CertifiedIssuer::self_signed(signer, KeyPair::generate()?)?;
    let host = format!("{service}.{space}.svc");
    let mut shown = lasting(vec![host], service)?;
    shown.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = shown.signed_by(&key, &signer)?.pem();
    let authority = signer.pem();
    let key = SecretValue::new(key.serialize_pem().into_bytes());
    Ok((Generation { number, made: now, until, authority, certificate, told: None }, key))
}

async fn key(store: &dyn Store, escrow: &Escrow, number: u64) -> Result<SecretValue, CertificateError> {
    let sealed = store.sealed(&seal(number)).await?.ok_or(CertificateError::Gone(number))?;
    Ok(escrow.open(&sealed)?)
}

fn moment(at: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at.as_second()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn id(number: u64) -> String {
    format!("{number:08}")
}

fn seal(number: u64) -> String {
    format!("cluster-webhook-key/{number}")
}

const KIND: &str = "webhook-certificate";
/// Between two looks when nothing is to be done.
const CALM: Duration = Duration::from_secs(30);
/// How often the API server is told what it knows already.
const AGAIN: Duration = Duration::from_mins(10);
/// How far clocks may be behind.
const BEHIND: Duration = Duration::from_hours(1);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::RootCertStore;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier as _;
    use rustls::crypto::aws_lc_rs;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, UnixTime};

    use super::*;
    use crate::escrow::{Kek, SystemRandomness};
    use crate::store::sqlite::SqliteStore;

    /// As an API server that was told of these authorities.
    fn believes(trusted: &str, shown: &Generation, host: &str, now: Timestamp) -> bool {
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(trusted.as_bytes()) {
            roots.add(root.unwrap()).unwrap();
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let shown = CertificateDer::from_pem_slice(shown.certificate.as_bytes()).unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now.as_second().unsigned_abs()));
        verifier.verify_server_cert(&shown, &[], &host.to_owned().try_into().unwrap(), &[], now).is_ok()
    }

    #[tokio::test]
    async fn it_is_renewed_while_it_lives_and_the_old_key_is_forgotten() {
        let keys = tempfile::tempdir().unwrap();
        let (file, state) = (keys.path().join("kek"), keys.path().join("state"));
        Kek::create(&file, &state, false, &SystemRandomness).unwrap();
        let escrow = Escrow::new(Kek::load(&file, &state, false).unwrap(), Box::new(SystemRandomness));
        let store = SqliteStore::open_in_memory().unwrap();
        let start: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let at = |days: i64| start + jiff::SignedDuration::from_hours(24 * days);
        let look = async |now| renewed(&store, &escrow, "remint-webhooks", "remint", now).await.unwrap();

        let first = look(start).await;
        let again = look(at(59)).await;
        assert_eq!((first.len(), &first), (1, &again), "nothing is made twice");
        let host = "remint-webhooks.remint.svc";
        assert!(believes(&certificate::trusted(&first, start), &first[0], host, start));
        assert!(!believes(&certificate::trusted(&first, start), &first[0], "remint-webhooks.other.svc", start));
        assert!(!believes(&certificate::trusted(&first, start), &first[0], host, at(91)), "it ends");
        let shown = key(&store, &escrow, 1).await.unwrap();
        assert!(shown.expose_str().unwrap().contains("PRIVATE KEY"));

        let both = look(at(61)).await;
        assert_eq!(both.len(), 2);
        let trusted = certificate::trusted(&both, at(61));
        assert!(both.iter().all(|one| believes(&trusted, one, host, at(61))));
        assert!(!believes(&both[0].authority, &both[1], host, at(61)), "each has an authority of its own");

        let third = look(at(125)).await;
        assert_eq!(third.iter().map(|one| one.number).collect::<Vec<_>>(), [2, 3]);
        assert!(matches!(key(&store, &escrow, 1).await, Err(CertificateError::Gone(1))));
        assert!(key(&store, &escrow, 3).await.is_ok());
    }
}
