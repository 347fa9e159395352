//! `bench cluster`: an estate of ten thousand credentials as custom resources on a real API server, and one reset over all
//! of them, asked for, approved and told of by objects alone.
//!
//! What the daemon writes is counted by the API server itself. The bound is what it wrote, at the rates that the same
//! server takes plain writes of the same objects with as many writers in the same run; the ratio says how much longer it
//! took from the approval until every object says that it is settled.

mod api;
mod estate;

use std::sync::Arc;
use std::time::{Duration, Instant};

use remint::app::{App, Places};
use remint::context::Context;
use remint::engine::EngineSettings;
use remint::serve::{Certificates, ClusterAt, Listen, Options, Reader, serve};
use remint_contract::{HostRules, Kinds, ResetId};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{Outcome, process};
use api::{Api, Counted};
use estate::Named;

#[derive(Serialize)]
struct Report {
    credentials: usize,
    writers: usize,
    /// Of plain writes, by as many writers.
    raw: Raw,
    /// From the start of the daemon until the estate is active, and until every Credential is held and told of.
    read_seconds: f64,
    told_seconds: f64,
    /// From the Reset until its plan shows.
    planned_seconds: f64,
    /// From the approval until the state says that it is over, and until every object does.
    reset_seconds: f64,
    reconcile_seconds: f64,
    bound_seconds: f64,
    ratio: f64,
    writes: Writes,
    bytes: Bytes,
    peak_mb: u64,
}

#[derive(Serialize)]
struct Raw {
    creates_per_s: f64,
    statuses_per_s: f64,
    events_per_s: f64,
}

/// By credential: before the reset, and for it.
#[derive(Serialize)]
struct Writes {
    first_statuses: f64,
    first_finalizers: f64,
    statuses: f64,
    objects: f64,
    events: f64,
    /// All of them.
    resets: u64,
}

#[derive(Serialize, Default)]
struct Bytes {
    reset_status: usize,
    reset_object: usize,
    credential_status: usize,
    credential_object: usize,
}

/// Runs it and prints the report.
pub(crate) fn run(arguments: &[String]) -> Outcome<()> {
    let (mut credentials, mut writers, mut as_json) = (10_000, 16, false);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut next = || words.next().ok_or_else(|| format!("{word} takes a value"));
        match word.as_str() {
            "--credentials" => credentials = next()?.parse()?,
            "--writers" => writers = next()?.parse()?,
            "-o" => as_json = next()? == "json",
            other => return Err(format!("`{other}` is none of --credentials, --writers, -o json").into()),
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(measured(credentials, writers))?;
    if as_json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print(&report);
    }
    Ok(())
}

fn print(report: &Report) {
    let Report { raw, writes, bytes, .. } = report;
    println!(" {} credentials, {} writers", report.credentials, report.writers);
    println!(
        " raw: {:.0} creates, {:.0} statuses, {:.0} events a second",
        raw.creates_per_s, raw.statuses_per_s, raw.events_per_s
    );
    println!(
        " estate active after {:.1} s, told of after {:.1} s; plan after {:.1} s",
        report.read_seconds, report.told_seconds, report.planned_seconds
    );
    println!(
        " reset {:.1} s, every object says so after {:.1} s; bound {:.1} s, ratio {:.2}",
        report.reset_seconds, report.reconcile_seconds, report.bound_seconds, report.ratio
    );
    println!(
        " writes a credential: first {:.2} statuses and {:.2} finalizers; then {:.2} statuses, {:.2} of the object, {:.2} events; {} of the Reset",
        writes.first_statuses, writes.first_finalizers, writes.statuses, writes.objects, writes.events, writes.resets
    );
    println!(
        " bytes: Reset status {}, Reset {}, Credential status {}, Credential {}; peak {} MB",
        bytes.reset_status, bytes.reset_object, bytes.credential_status, bytes.credential_object, report.peak_mb
    );
}

async fn measured(credentials: usize, writers: usize) -> Outcome<Report> {
    // Both sides of TLS are in this program; a second install is refused, which is fine.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let api = Arc::new(Api::find()?);
    api.define().await?;
    let raw = raw(&api, credentials.min(2000), writers).await?;
    let kinds = Arc::new(Named::of(credentials));
    let documents = estate::documents(credentials);
    api.each(documents, writers, async |api: &Api, document| api.create(&document).await).await?;

    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    let places = Places { state: at("state"), kek: at("kek"), same_folder: false, store: None };
    let (context, kinds) = (Context::system(), kinds as Arc<dyn Kinds>);
    App::init(&places, &context, Arc::clone(&kinds)).await?;
    let settings = EngineSettings::default();
    let app = App::open(&places, &context, kinds, HostRules::default(), settings).await?;
    let engine = app.engine.clone();
    let (webhooks, address, authority) = webhooks(folder.path())?;
    let options = Options {
        estate: folder.path().to_owned(),
        reader: Reader::Here,
        listen: vec![Listen::Socket(at("socket"))],
        every: Duration::from_secs(2),
        by: "benchmark".to_owned(),
        cluster: Some(ClusterAt {
            server: api.address.clone(),
            token_file: api.token_file.clone(),
            ca: api.ca.clone(),
            namespace: "default".to_owned(),
            namespaces: vec!["default".to_owned()],
            operator: Some("admin".to_owned()),
            ..ClusterAt::default()
        }),
        webhooks: Some(webhooks),
    };
    let before = api.counted().await?;
    let began = Instant::now();
    let serving = tokio::spawn(serve(app, options, std::future::pending()));
    let alive = || if serving.is_finished() { Err("the daemon ended by itself") } else { Ok(()) };
    while engine.active_estate().await?.is_none_or(|estate| estate.credentials.len() < credentials) {
        alive()?;
        pause(100).await;
    }
    let read = began.elapsed();
    let all = u64::try_from(credentials)?;
    let told = loop {
        alive()?;
        let done = api.counted().await?.since(&before);
        if done.statuses >= all && done.objects >= all {
            break done;
        }
        pause(500).await;
    };
    let told_after = began.elapsed();

    api.register(&address, &authority).await?;
    let before = api.counted().await?;
    let now = || jiff::Timestamp::now().to_string();
    let reset = object("Reset", "all", json!({"requestedAt": now(), "from": ["Identity/all"], "reason": "benchmark"}));
    let began = Instant::now();
    api.create(&reset).await?;
    let mut bytes = Bytes::default();
    let plan = loop {
        alive()?;
        let there = bytes.of_reset(&api.get(&reset).await?);
        if let Some(plan) = there["status"]["plan"].as_str() {
            break plan.to_owned();
        }
        if there["status"]["phase"] == "Refused" {
            return Err(there["status"]["conditions"].to_string().into());
        }
        pause(100).await;
    };
    let planned = began.elapsed();
    let yes = json!({"requestedAt": now(), "reset": "all", "plan": plan});
    let began = Instant::now();
    api.create(&object("Approval", "yes", yes)).await?;
    let (mut over, mut id) = (None, None);
    loop {
        alive()?;
        let there = bytes.of_reset(&api.get(&reset).await?);
        id = id.or_else(|| there["status"]["reset"].as_str().map(|id| ResetId(id.to_owned())));
        if let Some(id) = id.as_ref().filter(|_| over.is_none())
            && format!("{:?}", engine.reset(id).await?.status) == "Provisional"
        {
            over = Some(began.elapsed());
        }
        let done = over.is_some() && there["status"]["phase"] == "Provisional";
        if done
            && api.counted().await?.since(&before).events >= 2 * all
            && settled(&api, credentials, &mut bytes).await?
        {
            break;
        }
        pause(500).await;
    }
    let reconcile = began.elapsed();
    let done = api.counted().await?.since(&before);
    serving.abort();
    let bound = rate(done.statuses + done.objects, raw.statuses_per_s) + rate(done.events, raw.events_per_s);
    let per = |count: u64| count as f64 / credentials as f64;
    Ok(Report {
        credentials,
        writers,
        raw,
        read_seconds: read.as_secs_f64(),
        told_seconds: told_after.as_secs_f64(),
        planned_seconds: planned.as_secs_f64(),
        reset_seconds: over.unwrap_or_default().as_secs_f64(),
        reconcile_seconds: reconcile.as_secs_f64(),
        bound_seconds: bound,
        ratio: reconcile.as_secs_f64() / bound,
        writes: Writes {
            first_statuses: per(told.statuses),
            first_finalizers: per(told.objects),
            statuses: per(done.statuses),
            objects: per(done.objects),
            events: per(done.events),
            resets: done.resets,
        },
        bytes,
        peak_mb: process::peak_mb()?,
    })
}

fn rate(count: u64, per_s: f64) -> f64 {
    count as f64 / per_s
}

async fn pause(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

/// What the server takes of plain writes of the same sort, in a namespace that nobody looks at.
async fn raw(api: &Arc<Api>, count: usize, writers: usize) -> Outcome<Raw> {
    api.namespace("raw").await?;
    let objects: Vec<Value> = (0..count).map(|index| estate::credential(index, "raw")).collect();
    let began = Instant::now();
    api.each(objects.clone(), writers, async |api: &Api, one| api.create(&one).await).await?;
    let creates = began.elapsed();
    let began = Instant::now();
    api.each(objects.clone(), writers, async |api: &Api, one| api.status(&one, &estate::status()).await).await?;
    let statuses = began.elapsed();
    let began = Instant::now();
    api.each(objects, writers, async |api: &Api, one| api.event(&one).await).await?;
    let events = began.elapsed();
    let per_s = |took: Duration| count as f64 / took.as_secs_f64();
    Ok(Raw { creates_per_s: per_s(creates), statuses_per_s: per_s(statuses), events_per_s: per_s(events) })
}

/// True when every Credential says that it is settled.
async fn settled(api: &Api, credentials: usize, bytes: &mut Bytes) -> Outcome<bool> {
    let all = api.list("credentials").await?;
    let mut count = 0;
    for one in &all {
        bytes.credential_object = bytes.credential_object.max(one.to_string().len());
        bytes.credential_status = bytes.credential_status.max(one["status"].to_string().len());
        count += usize::from(one["status"]["state"] == "Settled");
    }
    Ok(count == credentials)
}

impl Bytes {
    fn of_reset(&mut self, reset: &Value) -> Value {
        self.reset_object = self.reset_object.max(reset.to_string().len());
        self.reset_status = self.reset_status.max(reset["status"].to_string().len());
        reset.clone()
    }
}

fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "remint.dev/v1alpha1", "kind": kind, "metadata": {"name": name, "namespace": "default"}, "spec": spec,
    })
}

/// The door of the webhooks, its address, and who signed its certificate.
fn webhooks(folder: &std::path::Path) -> Outcome<(Listen, String, String)> {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate()?;
    let authority = params.self_signed(&key)?.pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate()?;
    let shown = CertificateParams::new(vec!["127.0.0.1".to_owned()])?.signed_by(&key, &issuer)?;
    let [certificate, private] = ["hook.pem", "hook.key"].map(|name| folder.join(name));
    std::fs::write(&certificate, shown.pem())?;
    std::fs::write(&private, key.serialize_pem())?;
    let only_ours = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o600);
    std::fs::set_permissions(&private, only_ours)?;
    let files = Certificates { certificate, key: private, clients: None };
    let listen = Listen::tls("127.0.0.1:0".parse()?, files)?;
    let address = listen.address().ok_or("no address")?;
    Ok((listen, format!("https://{address}"), authority))
}

impl Counted {
    fn since(&self, before: &Self) -> Self {
        Self {
            statuses: self.statuses - before.statuses,
            objects: self.objects - before.objects,
            events: self.events - before.events,
            resets: self.resets - before.resets,
        }
    }
}
