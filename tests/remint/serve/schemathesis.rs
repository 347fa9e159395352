//! Questions that nobody thought of: Schemathesis makes them from the daemon's own description of its API, valid ones and
//! broken ones, and holds every answer against it.

use std::io::Write as _;
use std::process::{Command, Stdio};

use remint::serve::Listen;

use super::client::Client;
use super::team::write;
use super::{Place, TOKEN};

/// What every answer is held against. Not among them: that a wrong login gets 401, since whoever tries often gets 429, and
/// that what fits the schema is accepted, since cursors, ids and digests are right where the state knows them.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance,negative_data_rejection,\
                      unsupported_method";

/// Questions for each operation in each phase that draws them, at the most.
const EXAMPLES: &str = "10";

/// Fewer than this, and something kept the questions from being asked.
const LEAST: u64 = 1500;

/// `If-Match` is looked at before the body is: 412 refuses a broken one, too. And 429 says nothing about an answer.
const SETTINGS: &str = "[checks.negative_data_rejection]\n\
                        expected-statuses = [400, 401, 403, 404, 405, 406, 409, 412, 413, 415, 422, 428, 429]\n";

#[tokio::test]
async fn every_answer_to_a_made_up_question_is_as_the_description_says() {
    #[expect(clippy::disallowed_methods, reason = "where the program is comes from the environment")]
    let packages = std::env::var("REMINT_TEST_SCHEMATHESIS").unwrap_or_else(|_| {
        panic!(
            "REMINT_TEST_SCHEMATHESIS is not set; run `cargo xtask test`, or export what `cargo xtask servers up` prints"
        )
    });
    writeln!(std::io::stderr(), "SERVER schemathesis").unwrap();
    let place = Place::new(2).await;
    let file = place.keys.path().join("token");
    write(&file, TOKEN);
    let listen = Listen::loopback("127.0.0.1:0".parse().unwrap(), &file).unwrap();
    let address = listen.address().unwrap();
    let client = Client::tcp(address).with("authorization", &format!("Bearer {TOKEN}"));
    let daemon = place.serve_on(listen, client).await;

    let home = tempfile::tempdir().unwrap();
    let settings = home.path().join("schemathesis.toml");
    write(&settings, SETTINGS);
    let mut command = Command::new("python3");
    #[expect(clippy::disallowed_methods, reason = "where the interpreter is comes from the environment")]
    let search = std::env::var_os("PATH").unwrap_or_default();
    command.args(["-m", "schemathesis.cli", "--config-file"]).arg(&settings).arg("run");
    command.arg(format!("http://{address}/v1/openapi.json"));
    command.args(["-H", &format!("Authorization: Bearer {TOKEN}"), "--checks", CHECKS, "--max-examples", EXAMPLES]);
    // Its stream of events ends when the reset does.
    command.args(["--exclude-path", "/v1/resets/{id}/events", "--phases", "examples,coverage,fuzzing"]);
    // A caller is answered a hundred times a second.
    command.args(["--rate-limit", "90/s", "--generation-deterministic", "--continue-on-failure", "--no-color"]);
    command.env_clear().env("PATH", search).env("PYTHONPATH", packages).env("HOME", home.path());
    command.current_dir(home.path()).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{said}");
    let count = said.lines().find_map(|line| line.trim().split_once(" generated")?.0.parse::<u64>().ok());
    assert!(count.is_some_and(|count| count >= LEAST), "{count:?} questions: {said}");
    assert_eq!(daemon.client.get("/livez").await.status, 200);
    daemon.stop().await;
}
