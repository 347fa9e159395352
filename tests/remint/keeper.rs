//! Keys that a service keeps: the key file's, wrapped by a real OpenBao and by moto; the log's, in a double of AWS KMS, for
//! moto has no Ed25519 keys.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remint::app::{App, AppError, Places};
use remint::context::Context;
use remint::engine::EngineSettings;
use remint::escrow::kek::edit;
use remint::escrow::{Escrow, Kek, SystemRandomness};
use remint::store::Change;
use remint_conformance::proxy::{Asked, Way, answer};
use remint_contract::{HostRules, Material, SecretValue};
use remint_evidence_format::checkpoint::Checkpoint;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::rig::OnlyFake;
use crate::store::draft;
use bao::Bao;

pub(crate) mod bao;

const REGION: &str = "eu-central-1";

fn places(home: &Path) -> Places {
    Places { state: home.join("state"), kek: home.join("kek"), same_folder: false, store: None }
}

fn home() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("state")).unwrap();
    std::fs::set_permissions(home.path().join("state"), std::fs::Permissions::from_mode(0o700)).unwrap();
    home
}

async fn init(home: &Path) -> App {
    App::init(&places(home), &Context::system(), Arc::new(OnlyFake::default())).await.unwrap().0
}

async fn open(home: &Path) -> Result<App, AppError> {
    let (kinds, rules) = (Arc::new(OnlyFake::default()), HostRules::default());
    App::open(&places(home), &Context::system(), kinds, rules, EngineSettings::default()).await
}

async fn seal(app: &App, id: &str) {
    let sealed = app.engine.escrow.seal(id, "r-1", &SecretValue::from(id), None).unwrap();
    app.engine.store.commit(Change { seals: vec![sealed], ..Change::default() }).await.unwrap();
}

async fn opens(app: &App, escrow: &Escrow, id: &str) {
    let sealed = app.engine.store.sealed(id).await.unwrap().unwrap();
    assert_eq!(escrow.open(&sealed).unwrap(), SecretValue::from(id));
}

/// The life of a key file whose keys a service wraps; `away` has it refuse, `back` answer again.
async fn wrapped(home: &Path, prefix: &str, away: impl Fn(), back: impl Fn()) {
    let app = init(home).await;
    let text = std::fs::read_to_string(home.join("kek")).unwrap();
    assert_eq!(text.matches(&format!(" {prefix}:")).count(), 2, "nothing lies there in the clear: {text}");
    seal(&app, "one").await;
    // A key to fall back on, which needs no service.
    let (kek, recovery) = (app.engine.escrow.kek(), home.join("recovery"));
    let public = edit::recovery_file(&recovery, kek, &home.join("state"), &SystemRandomness).unwrap();
    assert!(edit::add_recipient(&home.join("kek"), kek, &public).unwrap());
    let key = places(home).fresh(app.wrapping.as_ref()).await.unwrap();
    assert_eq!(edit::add_generation(&home.join("kek"), kek, 0, &key).unwrap(), 2);
    drop(app);

    away();
    let refused = open(home).await.err().unwrap();
    assert!(format!("{refused}").contains("`keys` in remint.yaml"), "{refused}");
    back();
    let app = open(home).await.unwrap();
    opens(&app, &app.engine.escrow, "one").await;
    seal(&app, "two").await;
    drop(app);

    // Nobody but the service opens it, whoever has the file; and the recovery key does without either.
    let alone = Kek::load(&home.join("kek"), &home.join("state"), false).unwrap_err();
    assert!(alone.to_string().contains("a service wrapped this key"), "{alone}");
    away();
    let escrow = Escrow::new(Kek::load(&recovery, &home.join("state"), false).unwrap(), Box::new(SystemRandomness));
    back();
    let app = open(home).await.unwrap();
    opens(&app, &escrow, "two").await;
    let text = std::fs::read_to_string(home.join("kek")).unwrap();
    assert_eq!(text.matches(&format!(" {prefix}:")).count(), 3, "{text}");
}

/// A key file that lay there in the clear until now.
async fn takes_over(home: &Path, configure: impl FnOnce()) {
    let app = init(home).await;
    seal(&app, "one").await;
    drop(app);
    let before = std::fs::read_to_string(home.join("kek")).unwrap();
    configure();
    let app = open(home).await.unwrap();
    assert_eq!(places(home).wrap(app.wrapping.as_ref().unwrap()).await.unwrap(), 2);
    assert_eq!(places(home).wrap(app.wrapping.as_ref().unwrap()).await.unwrap(), 0, "once is enough");
    drop(app);
    let after = std::fs::read_to_string(home.join("kek")).unwrap();
    assert_eq!(before.lines().count(), after.lines().count());
    for key in before.lines().filter_map(|line| line.split_once("generation 1 ")).map(|(_, key)| key) {
        assert!(!after.contains(key));
    }
    let app = open(home).await.unwrap();
    opens(&app, &app.engine.escrow, "one").await;
}

#[tokio::test]
async fn keys_that_transit_wraps_open_nothing_without_it() {
    let (bao, home) = (Bao::find().await, home());
    let home = home.path();
    bao.key("wrap", "aes256-gcm96").await;
    let token = bao.confined("wrap", &["encrypt", "decrypt"]).await;
    bao.configure(home, "keys", "wrap", &token);
    let (away, back) =
        (|| bao.configure(home, "keys", "wrap", "a-token-of-nobody"), || bao.configure(home, "keys", "wrap", &token));
    wrapped(home, "transit", away, back).await;
    // Another key of the same service opens none of it.
    bao.key("other", "aes256-gcm96").await;
    let token = bao.confined("other", &["encrypt", "decrypt"]).await;
    bao.configure(home, "keys", "other", &token);
    assert!(matches!(open(home).await.err().unwrap(), AppError::Kek(_)));
}

#[tokio::test]
async fn a_key_file_in_the_clear_is_wrapped_by_transit() {
    let (bao, home) = (Bao::find().await, home());
    bao.key("wrap", "aes256-gcm96").await;
    let token = bao.confined("wrap", &["encrypt", "decrypt"]).await;
    takes_over(home.path(), || bao.configure(home.path(), "keys", "wrap", &token)).await;
}

/// What `remint.yaml` says of a key of AWS KMS.
fn configure(home: &Path, what: &str, endpoint: &str, key: &str, who: &Material) {
    let secret = home.join("secret");
    std::fs::write(&secret, who.secret.expose_str().unwrap()).unwrap();
    let user = who.username.as_deref().unwrap();
    let text = format!(
        "{what}: {{kms: {{region: {REGION}, key: '{key}', endpoint: '{endpoint}', username: {user}, secret_file: {}}}}}\n",
        secret.display()
    );
    std::fs::write(home.join("state/remint.yaml"), text).unwrap();
}

/// moto, as its administrator, and a new key there.
async fn moto() -> (String, Material, String) {
    use crate::incident::part::told;
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let address = told("REMINT_TEST_AWS");
    writeln!(std::io::stderr(), "SERVER moto").unwrap();
    let admin = Material::login(told("REMINT_TEST_AWS_KEY"), told("REMINT_TEST_AWS_SECRET").into());
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", "TrentService.CreateKey")];
    let asked = crate::incident::moto::signed(&http, &address, (&admin, "kms"), &headers, "{}".to_owned());
    let (status, made) = asked.await;
    assert_eq!(status, 200, "{made}");
    let made: Value = serde_json::from_str(&made).unwrap();
    (address, admin, made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn keys_that_kms_wraps_open_nothing_without_it() {
    let ((address, admin, key), home) = (moto().await, home());
    let home = home.path();
    let nobody = Material::login("AKIANOBODY", "not-a-secret".into());
    configure(home, "keys", &address, &key, &admin);
    let away = || configure(home, "keys", &address, &key, &nobody);
    wrapped(home, "kms", away, || configure(home, "keys", &address, &key, &admin)).await;
}

#[tokio::test]
async fn a_key_file_in_the_clear_is_wrapped_by_kms() {
    let ((address, admin, key), home) = (moto().await, home());
    takes_over(home.path(), || configure(home.path(), "keys", &address, &key, &admin)).await;
}

/// What AWS KMS says, of keys that are here: moto has none of the kind. It looks at no signature of a request.
async fn double() -> Way {
    let keys = Arc::new(["one", "two"].map(|name| (name, Ed25519KeyPair::generate().unwrap())));
    Way::open(move |mut client: TcpStream| {
        let keys = Arc::clone(&keys);
        async move {
            let Some(asked) = Asked::read(&mut client).await? else { return Ok(()) };
            let told: Value = serde_json::from_slice(&asked.body).unwrap();
            let named = told["KeyId"].as_str().unwrap();
            let found = keys.iter().find(|(name, _)| named.ends_with(name));
            let said = match (asked.header("x-amz-target").unwrap(), found) {
                (_, None) => Err("NotFoundException"),
                ("TrentService.GetPublicKey", Some((name, key))) => {
                    let head = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
                    let public = STANDARD.encode([&head, key.public_key().as_ref()].concat());
                    let arn = format!("arn:aws:kms:{REGION}:210987654321:key/{name}");
                    Ok(json!({"KeyId": arn, "PublicKey": public, "SigningAlgorithms": ["ED25519_SHA_512", "ED25519_PH_SHA_512"]}))
                }
                ("TrentService.Sign", Some((_, key))) => {
                    assert_eq!((&told["MessageType"], &told["SigningAlgorithm"]), (&json!("RAW"), &json!("ED25519_SHA_512")));
                    let text = STANDARD.decode(told["Message"].as_str().unwrap()).unwrap();
                    Ok(json!({"Signature": STANDARD.encode(key.sign(&text).as_ref())}))
                }
                _ => Err("AccessDeniedException"),
            };
            let answer = match said {
                Ok(said) => answer("200 OK", "", &said.to_string()),
                Err(code) => answer("400 Bad Request", "", &json!({ "__type": code }).to_string()),
            };
            client.write_all(&answer).await
        }
    })
    .await
}

#[tokio::test]
async fn a_log_is_signed_by_a_key_of_kms_until_it_names_the_next_one() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (way, home, who) = (double().await, home(), Material::login("AKIASOMEBODY", "a-secret".into()));
    let (home, endpoint) = (home.path(), format!("http://{}", way.address));
    configure(home, "log", &endpoint, "alias/one", &who);
    let app = init(home).await;
    let first = app.key.verifier().clone();
    grows(&app).await;
    // Nothing newer is made there, so it has to be named.
    let stays = crate::log::transit::rotated(&app).await.unwrap_err();
    assert!(format!("{stays:?}").contains("NoNext"), "{stays:?}");
    drop(app);
    configure(home, "log", &endpoint, "alias/two", &who);
    let app = open(home).await.unwrap();
    assert_eq!(*app.key.verifier(), first, "the log names it first");
    grows(&app).await;
    crate::log::transit::rotated(&app).await.unwrap();
    drop(app);
    let app = open(home).await.unwrap();
    assert_ne!(*app.key.verifier(), first);
    grows(&app).await;
}

async fn grows(app: &App) {
    app.engine.store.commit(Change { entries: vec![draft(None, 1)], ..Change::default() }).await.unwrap();
    app.sequencer.flush().await.unwrap();
    let (_, note) = app.engine.store.checkpoint().await.unwrap().unwrap();
    Checkpoint::open(note.as_bytes(), app.key.verifier()).unwrap();
}

#[tokio::test]
async fn what_names_no_service_or_two_is_refused() {
    let home = home();
    for text in ["keys: {}\n", "log: {}\n"] {
        std::fs::write(home.path().join("state/remint.yaml"), text).unwrap();
        let made = App::init(&places(home.path()), &Context::system(), Arc::new(OnlyFake::default())).await;
        let said = format!("{:?}", made.err().unwrap());
        assert!(said.contains("Where"), "{text}: {said}");
    }
}
