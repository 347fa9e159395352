//! A pasted secret is refused by its kind and place, and no message holds a piece of it.

use super::kinds::{bad, document, good, ground};

/// Made here, so that no scanner of the repository takes them for real ones.
fn samples() -> Vec<(&'static str, String)> {
    let body = "Zx81Qw7Lm2Kp9Rt4Vy6Bn3Hs5Jd0Gf8Ca1Xe";
    vec![
        ("a private key in PEM form", format!("-----BEGIN {} KEY-----\\nMIIEow{body}\\n-----END", "PRIVATE")),
        ("an AWS access key", format!("AKIA{}", "Z2Q7L4M6K9R3T5V8")),
        ("a long random token", format!("wJ4lr7UtnFEM/K7MDENG/{}", "bPxRf8iC9zY2q3W6e1")),
        ("a GitHub token", format!("ghp_{body}")),
        ("a GitHub token", format!("github_pat_{body}")),
        ("a GitLab token", format!("glpat-{}", &body[..20])),
        ("a Slack token", format!("xoxb-{}", &body[..24])),
        ("a Stripe key", format!("sk_live_{}", &body[..24])),
        ("a Vault token", format!("hvs.{body}")),
        ("a Google API key", format!("AIza{}", &body[..35])),
        ("a JSON web token", format!("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4{}.{}", &body[..8], &body[..20])),
        ("a password in a URL", format!("postgres://app:{}@db.internal:5432/app", &body[..9])),
        ("a password in a URL", format!("see https://u:{}@host", &body[..5])),
        ("a long random token", body.to_owned()),
        ("a long random token", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b".to_owned()),
    ]
}

/// No six characters of the secret's own part stand in the text.
fn leaks(text: &str, secret: &str) -> bool {
    let rare: Vec<char> = secret.chars().collect();
    rare.windows(6)
        .map(|window| window.iter().collect::<String>())
        .filter(|piece| piece.chars().any(|c| c.is_ascii_digit()))
        .any(|piece| text.contains(&piece))
}

#[test]
fn every_kind_of_secret_is_refused_wherever_it_stands_and_never_echoed() {
    for (kind, secret) in samples() {
        let places = [
            document("System", "db", &format!("{{fake: {{note: \"{secret}\"}}}}")),
            document("Identity", "one", &format!("{{class: \"{secret}\"}}")),
            document("Identity", "one", &format!("{{class: machine, \"{secret}\": x}}")),
            document("Identity", &format!("\"{secret}\""), "{class: machine}"),
            document("Workload", "one", &format!("{{runsOn: {{system: \"{secret}\", ref: x}}}}")),
            document(
                "Credential",
                "one",
                &format!("{{deliveredTo: [{{at: \"{secret}\"}}], issuedBy: [\"{secret}\"]}}"),
            ),
            document("System", "db", &format!("{{fake: {{port: \"{secret}\"}}}}")),
            format!("apiVersion: \"{secret}\"\nkind: \"{secret}\"\n"),
            format!("broken: [\n  \"{secret}\"\nmore: x\n"),
            format!("\"{secret}\": 1\n\"{secret}\": 2\n"),
        ];
        assert!(bad(places[0].clone()).contains(kind), "{kind} is not named");
        for text in places {
            let problems = bad(text.as_str());
            assert!(problems.contains("a secret value stands"), "{kind} is missed in\n{text}\n{problems}");
            assert!(!leaks(&problems, &secret), "a piece of it stands in\n{problems}");
        }
    }
}

#[test]
fn the_value_of_a_key_that_is_named_like_a_secret_is_refused() {
    for key in ["password", "apiKey", "api_key", "token", "client-secret", "SECRET"] {
        for value in ["hunter2", "4711"] {
            let problems = bad(document("System", "db", &format!("{{fake: {{nested: {{{key}: {value}}}}}}}")));
            assert!(problems.contains("a secret value stands here"), "{key}: {problems}");
            assert!(!problems.contains(value), "{problems}");
        }
    }
}

#[test]
fn what_estates_are_made_of_is_not_taken_for_a_secret() {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let certificate =
        "-----BEGIN CERTIFICATE-----\\nMIIBkTCCATegAwIBAgIUZx81Qw7Lm2Kp9Rt4Vy6Bn3Hs5Jd0\\n-----END CERTIFICATE-----";
    let text = ground()
        + &document(
            "System",
            "db",
            &format!(
                "{{fake: {{url: \"postgres://db.internal:5432/app\", ca: \"{certificate}\", \
                 arn: \"arn:aws:iam::123456789012:role/Payments-Production-Deployment-Role\", \
                 pin: \"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\", \
                 user: \"git@git.internal:team/app.git\", id: 6fa459ea-ee8a-3ca4-894e-db77e160355e, \
                 roots: /var/run/tests2/remint-pebble-4U2OfQ/server.pem, \
                 login: v-token-readonly-9YPkNkmXiRAP70ZEQqTt-1795330012, \
                 kvMount: secret, path: /var/lib/kubernetes/pods/Payments/volumes/Credentials2026-11-21/current}}}}"
            ),
        )
        + &document(
            "Credential",
            "key",
            &format!(
                "{{type: key, identity: app, issuedBy: {{system: issuer, target: t}}, consumedBy: [web], begets: {{tokens: 1h}}, \
                 generate: {{length: 40, alphabet: \"{alphabet}\"}}, \
                 deliveredTo: [{{at: \"host:p\", fields: {{password: \"{{secret}}\", url: \"pg://{{username}}:{{secret|url}}@db/x\"}}}}]}}"
            ),
        );
    good(&text);
}
