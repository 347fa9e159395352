//! Persons who come in by an identity provider, each at a shell of his own, and a governed state that they share.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use remint::escrow::SystemRandomness;
use remint::govern::PersonKey;
use remint::serve::Listen;
use serde_json::json;

use super::client::Client;
use super::{Daemon, Place, TOKEN};
use crate::identity::provider::{Provider, Signer};

pub(super) const NAMES: [&str; 3] = ["alice", "bob", "carol"];

/// What every credential takes: two persons, the requester not among them.
pub(super) const POLICY: &str = "---\napiVersion: remint.dev/v1alpha1\nkind: ApprovalPolicy\nmetadata: {name: all}\nspec:\n  \
                      require: {approvals: 2, separate: [requester-approver]}\n---\napiVersion: remint.dev/v1alpha1\n\
                      kind: RotationWindow\nmetadata: {name: nights}\nspec: {cron: \"0 2 * * *\", timeZone: UTC, \
                      duration: 4h, select: {name: app0}}\n";

pub(super) struct Team {
    pub(super) place: Place,
    pub(super) server: String,
    /// The key that the log is signed with.
    pub(super) key: String,
    pub(super) persons: String,
    _provider: Provider,
    homes: tempfile::TempDir,
}

/// What a command said, and how it ended.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) code: i32,
    pub(super) text: String,
}

impl Said {
    #[track_caller]
    pub(super) fn is(self, code: i32, words: &str) -> String {
        assert!(self.code == code && self.text.contains(words), "not {code} with `{words}`: {self:#?}");
        self.text
    }
}

impl Team {
    /// Everybody may do everything; what holds whatever policies say is what is tested here.
    pub(super) async fn new() -> (Self, Daemon) {
        let signer = Signer::new("one");
        let provider = Provider::start(&[&signer]).await;
        let (issuer, homes) = (&provider.issuer, tempfile::tempdir().unwrap());
        let now = jiff::Timestamp::now().as_second();
        let mut persons = "persons:\n".to_owned();
        for name in NAMES {
            let key = PersonKey::create(&homes.path().join(format!("{name}.key")), name, &SystemRandomness).unwrap();
            persons += &format!(
                "  {name}: {{principals: ['oidc:{issuer}|{name}', 'token:{name}'], groups: [all], keys: [\"{}\"]}}\n",
                key.public()
            );
            let claims =
                json!({ "iss": issuer, "sub": name, "aud": "remint", "exp": now + 3600, "iat": now, "auth_time": now });
            write(&homes.path().join(format!("{name}.token")), &signer.sign(&claims));
        }
        let place = Place::governed(1, &persons).await;
        place.write(&(place.documents() + POLICY));
        let issuers = format!("issuers:\n  - {{issuer: '{issuer}', audience: remint}}\n");
        write(&place.rig.folder.path().join("remint.yaml"), &issuers);
        let file = place.keys.path().join("token");
        write(&file, TOKEN);
        let listen = Listen::loopback("127.0.0.1:0".parse().unwrap(), &file).unwrap();
        let address = listen.address().unwrap();
        let app = place.decided().await;
        let key = app.key.verifier().to_string();
        let daemon = Place::serving_app(app, place.options(listen), Client::tcp(address)).await;
        (Self { place, server: format!("http://{address}"), key, persons, _provider: provider, homes }, daemon)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.homes.path().join(name)
    }

    /// A person's command, with what the provider gave him.
    pub(super) async fn says(&self, person: &str, line: &str) -> Said {
        self.says_with(&self.path(&format!("{person}.token")), line).await
    }

    /// The same, with what lies in a file; `~` is where the team's files are.
    pub(super) async fn says_with(&self, token: &Path, line: &str) -> Said {
        let home = self.homes.path().display().to_string();
        let words: Vec<String> = line.split(' ').map(|word| word.replace('~', &home)).collect();
        let mut command = Command::new(env!("CARGO_BIN_EXE_remint"));
        command.args(words).env_clear().env("HOME", self.homes.path()).stdin(Stdio::null());
        command.env("REMINT_SERVER", &self.server).env("REMINT_TOKEN_FILE", token);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        Said { code: output.status.code().unwrap(), text }
    }

    /// Writes a folder of policies with another table.
    pub(super) fn charter(&self, persons: &str) {
        let folder = self.path("charter");
        std::fs::create_dir_all(&folder).unwrap();
        let files = BTreeMap::from([("all.cedar", "permit (principal, action, resource);"), ("persons.yaml", persons)]);
        for (name, text) in files {
            write(&folder.join(name), text);
        }
    }
}

pub(super) fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// The word of a text that begins so.
pub(super) fn word(text: &str, begins: &str) -> String {
    let end = |letter: char| !(letter.is_ascii_alphanumeric() || letter == '-');
    let found = text.split(end).find(|word| word.starts_with(begins) && word.len() > begins.len());
    found.unwrap_or_else(|| panic!("no {begins}… in {text}")).to_owned()
}
