//! What the program as it is shipped writes while it serves.

use std::process::{Command, Stdio};

use serde_json::Value;

use super::client::Client;
use super::until;

#[tokio::test]
async fn every_line_of_the_log_is_json_and_has_the_id_of_its_request() {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name);
    let estate = format!(
        "apiVersion: remint.dev/v1alpha1\nkind: System\nmetadata: {{name: shelf}}\nspec: {{file: {{root: {}}}}}\n",
        path("shelf").display()
    );
    std::fs::create_dir(path("estate")).unwrap();
    std::fs::create_dir(path("shelf")).unwrap();
    std::fs::write(path("estate/estate.yaml"), estate).unwrap();
    let remint = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_remint"));
        command.arg("--state").arg(path("state")).arg("--kek").arg(path("kek")).args(words);
        command.env_clear().env("HOME", home.path()).stdin(Stdio::null()).stdout(Stdio::null());
        command
    };
    assert!(remint(&["init", "--single-operator"]).stderr(Stdio::null()).status().unwrap().success());
    let log = std::fs::File::create(path("log")).unwrap();
    let mut serving = remint(&["serve", "--log", "remint=debug"]);
    serving.arg("--estate").arg(path("estate")).arg("--socket").arg(path("socket")).stderr(log);
    let mut child = serving.spawn().unwrap();
    let client = Client::socket(path("socket"));
    until("the daemon answers", async || client.try_get("/livez").await).await;
    let answer = client.clone().with("x-request-id", "request-0001").get("/v1/estate").await;
    assert_eq!((answer.status, &answer.headers["x-request-id"]), (200, &"request-0001".parse().unwrap()));
    let made = client.get("/v1/estate").await.headers["x-request-id"].to_str().unwrap().to_owned();
    assert!(made != "request-0001" && made.len() >= 8, "{made}");
    child.kill().unwrap();
    child.wait().unwrap();
    let text = std::fs::read_to_string(path("log")).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for id in ["request-0001", &made] {
        assert!(lines.iter().any(|line| line["span"]["id"] == id), "{id}: {text}");
    }
}
