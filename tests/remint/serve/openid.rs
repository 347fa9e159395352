//! Persons who log in at a real OpenID provider, through the command line as it is shipped.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;

use remint::serve::Listen;
use remint_contract::Material;
use serde_json::{Value, json};

use super::client::Client;
use super::{Daemon, Place, TOKEN};

/// The provider of `cargo xtask test`.
struct Provider {
    issuer: String,
    password: String,
}

impl Provider {
    /// # Panics
    /// Nobody started one for the tests: what is not tested is not claimed.
    #[expect(clippy::disallowed_methods, reason = "where the test server is comes from the environment")]
    fn find() -> Self {
        let told = |name: &str| {
            std::env::var(name).unwrap_or_else(|_| {
                panic!("{name} is not set; run `cargo xtask test`, or export what `cargo xtask servers up` prints")
            })
        };
        writeln!(std::io::stderr(), "SERVER oidc-provider").unwrap();
        Self { issuer: told("REMINT_TEST_OPENID"), password: told("REMINT_TEST_OPENID_PASSWORD") }
    }

    /// What a person does in a browser that was shown an address: fills in the form, and follows where he is sent. The
    /// last answer that is no redirect.
    async fn browse(&self, url: &str, person: &str, password: &str) -> String {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
        let jar: Mutex<BTreeMap<String, String>> = Mutex::default();
        let mut url = reqwest::Url::parse(url).unwrap();
        let mut form: Option<String> = None;
        for _ in 0..16 {
            let ours = url.as_str().starts_with(&self.issuer);
            let cookies = jar.lock().unwrap().iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
            let mut request = match form.take() {
                Some(body) => {
                    http.post(url.clone()).header("content-type", "application/x-www-form-urlencoded").body(body)
                }
                None => http.get(url.clone()),
            };
            if ours {
                request = request.header("cookie", cookies.join("; "));
            }
            let answer = request.send().await.unwrap();
            for cookie in answer.headers().get_all("set-cookie") {
                let (name, value) = cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
                jar.lock().unwrap().insert(name.to_owned(), value.to_owned());
            }
            if let Some(place) = answer.headers().get("location") {
                url = url.join(place.to_str().unwrap()).unwrap();
                continue;
            }
            let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
            if status != 200 || !text.contains("<form") {
                return text;
            }
            let kept = hidden(&text);
            // A form that asks nothing is sent as it is; one that asks who it is, filled in.
            form = Some(if kept.is_empty() { format!("name={person}&password={password}") } else { kept });
            if let Some((_, action)) = text.split_once("action=\"") {
                url = url.join(action.split('"').next().unwrap()).unwrap();
            }
        }
        panic!("the provider sends in circles");
    }
}

/// The fields of a form that a person does not see, as it sends them.
fn hidden(page: &str) -> String {
    let attribute = |tag: &str, name: &str| {
        let (_, rest) = tag.split_once(&format!("{name}=\""))?;
        rest.split_once('"').map(|(value, _)| value.to_owned())
    };
    let tags = page.split("<input").skip(1).filter_map(|tag| tag.split('>').next());
    let fields: Vec<_> = tags
        .filter(|tag| tag.contains("type=\"hidden\""))
        .filter_map(|tag| Some((attribute(tag, "name")?, attribute(tag, "value")?)))
        .collect();
    let url = reqwest::Url::parse_with_params("http://localhost/", fields).unwrap();
    url.query().unwrap_or_default().to_owned()
}

/// A person at a shell of his own.
struct Shell {
    home: tempfile::TempDir,
    server: String,
}

impl Shell {
    fn new(server: &str) -> Self {
        Self { home: tempfile::tempdir().unwrap(), server: server.to_owned() }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_remint"));
        command.args(words).env_clear().env("HOME", self.home.path()).env("REMINT_SERVER", &self.server);
        command.stdin(Stdio::null());
        command
    }

    async fn run(&self, words: &[&str]) -> Output {
        let mut command = self.command(words);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    /// Runs something that waits for a person in a browser.
    async fn browsing(&self, words: &[&str], provider: &Provider, person: &str, password: &str) -> (Output, String) {
        self.browsing_at("http", words, provider, person, password).await
    }

    /// The same, at the address that begins so, or has this in it.
    async fn browsing_at(
        &self,
        has: &str,
        words: &[&str],
        provider: &Provider,
        person: &str,
        password: &str,
    ) -> (Output, String) {
        let has = has.to_owned();
        let mut child = self.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let (url, said) = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            loop {
                line.clear();
                assert!(said.read_line(&mut line).unwrap() > 0, "it ended before it named an address");
                if line.trim().starts_with("http") && line.contains(&has) {
                    return (line.trim().to_owned(), said);
                }
            }
        })
        .await
        .unwrap();
        let shown = provider.browse(&url, person, password).await;
        if ["Done.", "refused", "Success"].iter().any(|word| shown.contains(word)) {
            // Read to the end while it runs, so that it never waits for a reader.
            let rest = tokio::task::spawn_blocking(move || {
                let (mut said, mut rest) = (said, String::new());
                std::io::Read::read_to_string(&mut said, &mut rest).unwrap();
                rest
            });
            let mut output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
            output.stderr = rest.await.unwrap().into_bytes();
            return (output, shown);
        }
        child.kill().unwrap();
        (child.wait_with_output().unwrap(), shown)
    }

    fn kept(&self) -> Vec<PathBuf> {
        let folder = self.home.path().join(".config/remint/logins");
        std::fs::read_dir(folder).map(|items| items.map(|item| item.unwrap().path()).collect()).unwrap_or_default()
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A governed state whose persons the provider knows, and the address of its daemon.
async fn served(provider: &Provider) -> (Place, Daemon, String) {
    let issuer = &provider.issuer;
    let persons = format!(
        "persons:\n  alice: {{principals: ['oidc:{issuer}|alice', 'token:alice'], groups: [request, execute, grant-access]}}\n  \
         bob: {{principals: ['oidc:{issuer}|bob']}}\n"
    );
    let place = Place::governed(1, &persons).await;
    let policy = "apiVersion: remint.dev/v1alpha1\nkind: ApprovalPolicy\nmetadata: {name: all}\nspec:\n  require: {approvals: 1, \
                  separate: [requester-approver], stepUp: 15m}\n";
    std::fs::write(place.estate.path().join("policy.yaml"), policy).unwrap();
    let issuers = format!("issuers:\n  - issuer: {issuer}\n    audience: remint\n    groups: {{security: approve}}\n");
    let path = place.rig.folder.path().join("remint.yaml");
    std::fs::write(&path, issuers).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let file = place.keys.path().join("token");
    std::fs::write(&file, TOKEN).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let listen = Listen::loopback("127.0.0.1:0".parse().unwrap(), &file).unwrap();
    let address = listen.address().unwrap();
    let client = Client::tcp(address);
    let app = place.decided().await;
    let daemon = Place::serving_app(app, place.options(listen), client).await;
    (place, daemon, format!("http://{address}"))
}

#[tokio::test]
async fn persons_log_in_at_a_real_provider_and_two_of_them_replace_a_credential() {
    let provider = Provider::find();
    let (place, daemon, server) = served(&provider).await;
    let before = place.values(1);
    let (alice, bob, carol) = (Shell::new(&server), Shell::new(&server), Shell::new(&server));

    // Without a login nobody is anybody.
    let output = alice.run(&["get", "resets"]).await;
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("remint login"), "{}", said(&output));
    let (_, shown) = alice.browsing(&["login"], &provider, "alice", "guessed").await;
    assert!(!shown.contains("Done."), "{shown}");
    assert!(alice.kept().is_empty(), "a wrong password leaves nothing");

    for (shell, person) in [(&alice, "alice"), (&bob, "bob"), (&carol, "carol")] {
        let (output, shown) = shell.browsing(&["login"], &provider, person, &provider.password).await;
        assert!(output.status.success(), "{shown}: {}", said(&output));
        assert!(said(&output).contains(&format!("as oidc:{}|{person}", provider.issuer)), "{}", said(&output));
        let [file] = &shell.kept()[..] else { panic!("one file") };
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(file).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }

    // Carol is no person of the table: she may not even look.
    let output = carol.run(&["get", "resets"]).await;
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));

    let words = ["reset", "--from", "Credential/app0", "--reason", "INC-1", "--request-id", "inc-1"];
    let output = alice.run(&words).await;
    assert_eq!(output.status.code(), Some(3), "it waits for approval: {}", said(&output));
    assert!(said(&output).contains("Asked for: reset inc-1"), "{}", said(&output));
    let output = bob.run(&["reset", "--from", "Credential/app0", "--reason", "INC-1", "--request-id", "inc-9"]).await;
    assert_eq!(output.status.code(), Some(3));
    assert!(said(&output).contains("may not request"), "{}", said(&output));

    // Alice may not approve; through a second token of hers she is the same person, and may not either.
    let output = alice.run(&["approve", "inc-1"]).await;
    assert!(said(&output).contains("may not approve"), "{}", said(&output));
    let token = alice.home.path().join("second");
    let scope = ["token", "create", "--name", "alice", "--scope", "read,approve", "--out", token.to_str().unwrap()];
    let output = alice.run(&scope).await;
    assert!(output.status.success(), "{}", said(&output));
    let output = alice.run(&["approve", "inc-1", "--server-token-file", token.to_str().unwrap()]).await;
    assert_eq!(output.status.code(), Some(3));
    assert!(said(&output).contains("may not approve"), "{}", said(&output));
    // What is for somebody else is made by nobody.
    let output = alice.run(&["token", "create", "--name", "../x", "--scope", "read"]).await;
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));

    // Bob's provider signs exactly this plan for him.
    let (output, shown) = bob.browsing(&["approve", "inc-1", "--sign"], &provider, "bob", &provider.password).await;
    assert!(shown.contains("Done."), "{shown}");
    let words = said(&output);
    assert!(output.status.success() && words.contains("Signed by bob"), "{words}");
    assert!(words.contains("settled provisionally") || words.contains("is complete"), "{words}");
    let after = place.values(1);
    assert_ne!(before, after);
    assert!(!place.rig.issuer.accepts(&Material::of(before[0].clone())));
    let reset = place_case(&daemon, &bob).await;
    let signature = &reset["case"]["signatures"][0];
    assert_eq!(signature["strength"]["grade"], "id-token", "{reset}");
    assert!(signature["strength"]["auth_time"].is_string(), "{reset}");
    let output = bob.run(&["get", "rotations", "--reset", "inc-1"]).await;
    assert!(output.status.success() && said(&output).contains("Credential/app0"), "{}", said(&output));
    daemon.stop().await;

    let app = place.open().await;
    let id = remint_contract::ResetId("inc-1".into());
    let entries = app.engine.store.entries_of(&id).await.unwrap();
    let texts: Vec<String> = entries.iter().map(|entry| String::from_utf8_lossy(&entry.bytes).into_owned()).collect();
    assert!(texts.iter().any(|text| text.contains("approval.proven")), "{texts:#?}");
}

/// The reset's record, as bob sees it.
async fn place_case(daemon: &Daemon, bob: &Shell) -> Value {
    let token = std::fs::read_to_string(&bob.kept()[0]).unwrap();
    let client = daemon.client.clone().with("authorization", &format!("Bearer {token}"));
    client.get("/v1/records/resets/inc-1").await.ok()["reset"].take()
}

#[tokio::test]
async fn what_the_provider_signed_for_one_plan_approves_no_other_and_opens_nothing() {
    let provider = Provider::find();
    let (_place, daemon, server) = served(&provider).await;
    let (alice, bob) = (Shell::new(&server), Shell::new(&server));
    for (shell, person) in [(&alice, "alice"), (&bob, "bob")] {
        shell.browsing(&["login"], &provider, person, &provider.password).await;
    }
    let bearer = |shell: &Shell| format!("Bearer {}", std::fs::read_to_string(&shell.kept()[0]).unwrap());
    let (asks, approves) = (
        daemon.client.clone().with("authorization", &bearer(&alice)),
        daemon.client.clone().with("authorization", &bearer(&bob)),
    );
    let ask = json!({ "requestId": "inc-2", "from": ["Credential/app0"], "reason": "INC-2" });
    let asked = asks.post("/v1/resets", &ask).await;
    assert_eq!(asked.status, 202, "{asked:?}");
    let plan = asked.body["plan"].clone();
    // Bob's login, alice's login, and words that are no token.
    for token in [bearer(&bob), bearer(&alice), "x.y.z".to_owned(), String::new()] {
        let body = json!({ "plan": plan, "idToken": token.trim_start_matches("Bearer ") });
        approves.post("/v1/resets/inc-2/approve", &body).await.is_problem(403, "signature");
    }
    let shown = asks.get("/v1/resets/inc-2").await.ok();
    assert_eq!(shown["status"], "requested", "{shown}");
    daemon.stop().await;
}

#[tokio::test]
async fn who_has_no_browser_here_types_a_code_into_one_elsewhere() {
    let provider = Provider::find();
    let (_place, daemon, server) = served(&provider).await;
    let alice = Shell::new(&server);
    let words = ["login", "--device"];
    let (output, shown) = alice.browsing_at("user_code=", &words, &provider, "alice", &provider.password).await;
    assert!(output.status.success(), "{shown}: {}", said(&output));
    assert!(said(&output).contains(&format!("as oidc:{}|alice", provider.issuer)), "{}", said(&output));
    assert_eq!(alice.kept().len(), 1);
    let output = alice.run(&["get", "resets"]).await;
    assert!(output.status.success(), "{}", said(&output));
    daemon.stop().await;
}
