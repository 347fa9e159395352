//! Who comes in: what is taken for somebody's word, and everything that is not.

pub(crate) mod provider;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use remint::context::Context;
use remint::escrow::SystemRandomness;
use remint::identity::{Credentials, Identities, Issuer, IssuerAt, Unknown};
use remint::store::sqlite::SqliteStore;
use remint::store::{Change, Store};
use remint_contract::{Clock, TestClock};
use remint_core::approval::{Party, Person};
use remint_core::gate::{Action, Caller, Entrance};
use serde_json::{Value, json};

use provider::{Provider, Signer};

const NOW: i64 = 1_800_000_000;

/// A state that trusts some issuers, on a clock of its own.
struct Rig {
    _folder: tempfile::TempDir,
    store: Arc<dyn Store>,
    clock: Arc<TestClock>,
    context: Context,
    who: Identities,
}

impl Rig {
    fn new(issuers: &[&Provider]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder.path()).unwrap());
        let clock = Arc::new(TestClock::new(Timestamp::from_second(NOW).unwrap()));
        let context = Context { clock: Arc::clone(&clock) as Arc<dyn Clock>, random: Arc::new(SystemRandomness) };
        let issuers = issuers.iter().map(|provider| Issuer::new(at(&provider.issuer)).unwrap()).collect();
        let who = Identities::new(Arc::clone(&store), context.clone(), issuers);
        Self { _folder: folder, store, clock, context, who }
    }

    async fn ask(&self, token: &str) -> Result<Caller, String> {
        let header = format!("Bearer {token}");
        let shown = Credentials { authorization: Some(header.as_bytes()), certificate: None };
        let found = self.who.who(shown, Entrance::Api, "192.0.2.1").await;
        found.map_err(|error| error.word().to_owned())
    }

    /// The word that a token is refused by.
    async fn refused(&self, token: &str) -> String {
        self.ask(token).await.expect_err("it was taken")
    }

    /// A decision was made at this time: the clock may not say an earlier one.
    async fn decided(&self) {
        let now = self.clock.now().to_string();
        let body = serde_json::to_value(now).unwrap();
        let key = remint::store::Key { kind: "clock", id: "newest".to_owned() };
        let put = remint::store::Put { key, scope: String::new(), body, rule: remint::store::Rule::Upsert };
        self.store.commit(Change { puts: vec![put], ..Change::default() }).await.unwrap();
    }
}

fn at(issuer: &str) -> IssuerAt {
    IssuerAt {
        issuer: issuer.to_owned(),
        audience: "remint".to_owned(),
        groups_claim: "groups".to_owned(),
        groups: BTreeMap::from([("sec".to_owned(), "approvers".to_owned())]),
        ca_file: None,
    }
}

/// What an honest issuer says of alice.
fn alice(issuer: &str) -> Value {
    json!({
        "iss": issuer, "sub": "alice", "aud": "remint", "exp": NOW + 600, "iat": NOW - 5, "auth_time": NOW - 30,
        "acr": "strong", "amr": ["pwd", "hwk"], "groups": ["sec"],
    })
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

/// A token whose header says something else than what signed it.
fn forged(header: &Value, claims: &Value, signature: &[u8]) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", part(header), part(claims), URL_SAFE_NO_PAD.encode(signature))
}

#[tokio::test]
async fn a_good_token_says_who_it_is_and_how_strongly_that_was_verified() {
    let signer = Signer::new("one");
    let provider = Provider::start(&[&signer]).await;
    let rig = Rig::new(&[&provider]);
    let caller = rig.ask(&signer.sign(&alice(&provider.issuer))).await.unwrap();
    assert_eq!(caller.principal, format!("oidc:{}|alice", provider.issuer));
    assert_eq!((caller.acr.as_str(), caller.auth_age(rig.clock.now())), ("strong", Some(30)));
    assert!(caller.amr.contains("hwk") && caller.groups.contains("approvers") && caller.scope.is_none());
    for _ in 0..20 {
        rig.ask(&signer.sign(&alice(&provider.issuer))).await.unwrap();
    }
    assert_eq!(provider.asked(), 1, "its keys are asked for once");
}

#[tokio::test]
async fn what_an_issuer_did_not_say_to_us_now_is_refused() {
    let signer = Signer::new("one");
    let provider = Provider::start(&[&signer]).await;
    let rig = Rig::new(&[&provider]);
    let good = alice(&provider.issuer);
    for (name, value, word) in [
        ("exp", json!(NOW), "expired"),
        ("exp", json!(NOW - 1), "expired"),
        ("exp", json!("never"), "garbled"),
        ("exp", Value::Null, "garbled"),
        ("nbf", json!(NOW + 300), "early"),
        ("iat", json!(NOW + 300), "early"),
        ("aud", json!("another"), "audience"),
        ("aud", json!(["another"]), "audience"),
        ("aud", json!([]), "audience"),
        // Of several audiences it was given to another one.
        ("sub", json!(""), "garbled"),
        ("sub", json!("ali\nce"), "garbled"),
        ("sub", json!(7), "garbled"),
        ("cnf", json!({ "x5t#S256": URL_SAFE_NO_PAD.encode([7; 32]) }), "bound"),
        ("nonce", json!(format!("sha256:{}", "0".repeat(64))), "nonce"),
        // Issuers that are not the one whose keys these are.
        ("iss", json!("https://id.example"), "token"),
        ("iss", json!(format!("{}/", provider.issuer)), "token"),
    ] {
        let token = signer.sign(&with(good.clone(), name, value.clone()));
        assert_eq!(rig.refused(&token).await, word, "{name}: {value}");
    }
    let handed = with(with(good.clone(), "aud", json!(["remint", "another"])), "azp", json!("another"));
    assert_eq!(rig.refused(&signer.sign(&handed)).await, "audience");
    let ours = with(with(good, "aud", json!(["remint", "another"])), "azp", json!("remint"));
    rig.ask(&signer.sign(&ours)).await.unwrap();
}

#[tokio::test]
async fn unsigned_tokens_and_confused_algorithms_are_refused() {
    let signer = Signer::new("one");
    let provider = Provider::start(&[&signer]).await;
    let rig = Rig::new(&[&provider]);
    let claims = alice(&provider.issuer);
    let good = signer.sign(&claims);
    let (head, signature) = good.rsplit_once('.').unwrap();
    for none in ["none", "None", "NONE", "nOnE", ""] {
        let header = json!({ "alg": none, "kid": "one" });
        assert_eq!(rig.refused(&forged(&header, &claims, b"")).await, "algorithm", "{none}");
    }
    // The public key, in every form that it has, taken for a shared secret.
    let public = signer.public();
    let point = [public["x"].as_str().unwrap(), public["y"].as_str().unwrap()]
        .map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
    let point = [&[4], point[0].as_slice(), point[1].as_slice()].concat();
    for secret in [public.to_string().into_bytes(), point] {
        let key = jsonwebtoken::EncodingKey::from_secret(&secret);
        for algorithm in [jsonwebtoken::Algorithm::HS256, jsonwebtoken::Algorithm::HS512] {
            let header = jsonwebtoken::Header { kid: Some("one".into()), ..jsonwebtoken::Header::new(algorithm) };
            let token = jsonwebtoken::encode(&header, &claims, &key).unwrap();
            assert_eq!(rig.refused(&token).await, "algorithm");
        }
    }
    for (header, word) in [
        (json!({ "alg": "RS256", "kid": "one" }), "algorithm"),
        (json!({ "alg": "EdDSA", "kid": "one" }), "algorithm"),
        (json!({ "alg": "ES256", "kid": "other" }), "key"),
        (json!({ "alg": "ES256", "kid": "one", "crit": ["exp"] }), "garbled"),
        // The header brings its own key, and says where to fetch one: neither is looked at.
        (
            json!({ "alg": "ES256", "kid": "one", "jwk": Signer::new("x").public(), "jku": "http://127.0.0.1:9/" }),
            "signature",
        ),
    ] {
        assert_eq!(rig.refused(&forged(&header, &claims, &[1; 64])).await, word, "{header}");
    }
    for broken in [format!("{head}."), head.to_owned(), format!("{good}.x"), format!("{head}.{}", &signature[1..])] {
        let word = rig.refused(&broken).await;
        assert!(["garbled", "signature", "token"].contains(&word.as_str()), "{broken}: {word}");
    }
    let other = Signer { id: "one".to_owned(), ..Signer::new("one") };
    assert_eq!(rig.refused(&other.sign(&claims)).await, "signature");
}

#[tokio::test]
async fn the_keys_of_one_issuer_say_nothing_of_another_ones_people() {
    let (honest, evil) = (Signer::new("one"), Signer::new("one"));
    let (first, second) = (Provider::start(&[&honest]).await, Provider::start(&[&evil]).await);
    let rig = Rig::new(&[&first, &second]);
    rig.ask(&evil.sign(&alice(&second.issuer))).await.unwrap();
    // The second one signs for the first one's people, under the same name of a key and under another.
    assert_eq!(rig.refused(&evil.sign(&alice(&first.issuer))).await, "signature");
    let named = Signer { id: "two".to_owned(), ..evil.clone() };
    second.publish(vec![evil.public(), named.public()]);
    assert_eq!(rig.refused(&named.sign(&alice(&first.issuer))).await, "key");
    // Its document says that it is the first one.
    let third = Provider::start(&[&evil]).await;
    third.say("issuer", &first.issuer);
    let rig = Rig::new(&[&first, &third]);
    assert_eq!(rig.refused(&evil.sign(&alice(&third.issuer))).await, "issuer");
    assert_eq!(rig.refused(&evil.sign(&alice(&first.issuer))).await, "signature");
    // Two keys of one name: nobody can say which one is meant.
    second.publish(vec![evil.public(), honest.public()]);
    let rig = Rig::new(&[&second]);
    assert_eq!(rig.refused(&evil.sign(&alice(&second.issuer))).await, "issuer");
}

#[tokio::test]
async fn a_new_key_is_found_and_one_that_was_taken_back_stops() {
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    let provider = Provider::start(&[&old]).await;
    let rig = Rig::new(&[&provider]);
    let issuer = provider.issuer.clone();
    let say = |signer: &Signer, now: Timestamp| signer.sign(&with(alice(&issuer), "exp", json!(now.as_second() + 600)));
    rig.ask(&say(&old, rig.clock.now())).await.unwrap();
    provider.publish(vec![old.public(), new.public()]);
    rig.clock.advance(Duration::from_secs(11));
    rig.ask(&say(&new, rig.clock.now())).await.unwrap();
    provider.publish(vec![new.public()]);
    rig.ask(&say(&old, rig.clock.now())).await.unwrap();
    rig.clock.advance(Duration::from_mins(6));
    rig.ask(&say(&new, rig.clock.now())).await.unwrap();
    assert_eq!(rig.refused(&say(&old, rig.clock.now())).await, "key");
    // Whoever makes up names of keys has the issuer asked seldom.
    let asked = provider.asked();
    for number in 0..50 {
        let made_up = Signer { id: format!("k{number}"), ..old.clone() };
        assert_eq!(rig.refused(&say(&made_up, rig.clock.now())).await, "key");
    }
    assert!(provider.asked() <= asked + 1, "{} questions", provider.asked() - asked);
    // An issuer that does not answer is trusted for an hour, and no longer.
    provider.say("jwks_uri", "http://127.0.0.1:9/keys");
    rig.clock.advance(Duration::from_mins(30));
    rig.ask(&say(&new, rig.clock.now())).await.unwrap();
    rig.clock.advance(Duration::from_mins(31));
    assert_eq!(rig.refused(&say(&new, rig.clock.now())).await, "issuer");
}

#[tokio::test]
async fn a_clock_that_was_set_back_revives_no_token() {
    let signer = Signer::new("one");
    let provider = Provider::start(&[&signer]).await;
    let rig = Rig::new(&[&provider]);
    let token = signer.sign(&alice(&provider.issuer));
    let scope = [Action::Read].into();
    let local = rig.who.tokens().make("ci", scope, Duration::from_mins(10), "alice", None).await.unwrap();
    rig.ask(&token).await.unwrap();
    rig.ask(&local.text.expose()).await.unwrap();
    rig.clock.advance(Duration::from_mins(11));
    assert_eq!(rig.refused(&token).await, "expired");
    rig.decided().await;
    // Another process of the same state, whose clock is an hour behind.
    let back = Arc::new(TestClock::new(Timestamp::from_second(NOW - 3000).unwrap()));
    let context = Context { clock: back, random: Arc::clone(&rig.context.random) };
    let issuers = vec![Issuer::new(at(&provider.issuer)).unwrap()];
    let rig = Rig { who: Identities::new(Arc::clone(&rig.store), context, issuers), ..rig };
    assert_eq!(rig.refused(&token).await, "expired");
    assert_eq!(rig.refused(&local.text.expose()).await, "token");
}

#[tokio::test]
async fn a_local_token_lives_until_it_is_revoked_or_expires_and_its_text_is_nowhere() {
    let rig = Rig::new(&[]);
    let tokens = rig.who.tokens();
    let scope = || [Action::Read, Action::Request].into();
    let made = tokens.make("ci", scope(), Duration::from_hours(1), "alice", None).await.unwrap();
    let text = made.text.expose();
    let caller = rig.ask(&text).await.unwrap();
    assert_eq!((caller.principal.as_str(), caller.covers(Action::Approve)), ("token:ci", false));
    assert!(caller.covers(Action::Read));
    for other in
        [format!("{}x", &*text), text[..text.len() - 1].to_owned(), text.replace("rmt_", "rmt"), "rmt__".into()]
    {
        assert_eq!(rig.refused(&other).await, "token", "{other}");
    }
    let mut swapped = text.to_string().into_bytes();
    let last = swapped.len() - 1;
    swapped[last] = if swapped[last] == b'a' { b'b' } else { b'a' };
    assert_eq!(rig.refused(std::str::from_utf8(&swapped).unwrap()).await, "token");
    let kept = serde_json::to_string(&tokens.list().await.unwrap()).unwrap();
    let secret = text.rsplit_once('_').unwrap().1;
    assert!(!kept.contains(secret) && !format!("{made:?}").contains(secret));
    let entries = rig.store.unsequenced(10).await.unwrap();
    assert!(entries.iter().all(|entry| !String::from_utf8_lossy(&entry.bytes).contains(secret)));
    tokens.revoke(&made.record.id, "alice").await.unwrap();
    assert_eq!(rig.refused(&text).await, "token");
    let short = tokens.make("ci", scope(), Duration::from_mins(1), "alice", None).await.unwrap();
    rig.clock.advance(Duration::from_mins(1));
    assert_eq!(rig.refused(&short.text.expose()).await, "token");
    for (name, life) in [("", 3600), ("a b", 3600), ("loopback", 3600), ("ci", 1), ("ci", 400 * 86_400)] {
        assert!(tokens.make(name, scope(), Duration::from_secs(life), "alice", None).await.is_err(), "{name} {life}");
    }
}

#[tokio::test]
async fn nobody_makes_a_token_that_speaks_for_another_person() {
    let rig = Rig::new(&[]);
    let person =
        |name: &str, principal: &str| Party::Person { principal: principal.into(), person: Person(name.into()) };
    let service = |owner: &str| Party::Service {
        principal: "token:x".into(),
        name: "ci".into(),
        owners: [Person(owner.into())].into(),
    };
    let alice = person("alice", "unix:1");
    for (whose, allowed) in [
        (person("alice", "token:x"), true),
        (person("bob", "token:x"), false),
        (service("alice"), true),
        (service("bob"), false),
        (Party::Unmapped { principal: "token:x".into() }, true),
    ] {
        let scope = [Action::Approve].into();
        let made = rig.who.tokens().make("x", scope, Duration::from_hours(1), "alice", Some((&whose, &alice))).await;
        assert_eq!(made.is_ok(), allowed, "{whose}");
    }
}

#[tokio::test]
async fn groups_are_words_of_a_flat_list_that_the_configuration_names() {
    let signer = Signer::new("one");
    let provider = Provider::start(&[&signer]).await;
    let rig = Rig::new(&[&provider]);
    for (groups, taken) in [
        (json!(["sec"]), true),
        (json!(["other", "sec"]), true),
        // A group in a group, a path to one, one in other letters, a word that is no list, and a list in a list.
        (json!(["/company/sec"]), false),
        (json!(["sec/readers"]), false),
        (json!(["SEC"]), false),
        (json!("sec"), false),
        (json!([["sec"]]), false),
        (json!([{ "name": "sec", "members": ["sec"] }]), false),
        // Ours by name, which theirs is not.
        (json!(["approvers"]), false),
    ] {
        let caller = rig.ask(&signer.sign(&with(alice(&provider.issuer), "groups", groups.clone()))).await.unwrap();
        assert_eq!(caller.groups.contains("approvers"), taken, "{groups}");
    }
}

#[tokio::test]
async fn a_token_that_signs_a_plan_signs_that_one_and_opens_nothing() {
    let signer = Signer::new("one");
    let provider = Provider::start(&[&signer]).await;
    let rig = Rig::new(&[&provider]);
    let (plan, other) = (remint_core::digest::Digest::of(b"plan"), remint_core::digest::Digest::of(b"other"));
    let token = signer.sign(&with(alice(&provider.issuer), "nonce", json!(plan)));
    let claims = rig.who.signed(&token, &plan).await.unwrap();
    assert_eq!(claims.sub, "alice");
    assert_eq!(claims.signed_by.as_deref().unwrap()["kid"], "one");
    let refused = |found: Result<_, Unknown>| found.map(|_: remint::identity::Claims| ()).unwrap_err().word();
    assert_eq!(refused(rig.who.signed(&token, &other).await), "nonce");
    assert_eq!(refused(rig.who.signed(&signer.sign(&alice(&provider.issuer)), &plan).await), "nonce");
    assert_eq!(rig.refused(&token).await, "nonce");
    let old = with(with(alice(&provider.issuer), "nonce", json!(plan)), "iat", json!(NOW - 700));
    assert_eq!(refused(rig.who.signed(&signer.sign(&old), &plan).await), "expired");
}
