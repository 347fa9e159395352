//! Answers to dns-01 challenges: a program that the daemon's configuration allows puts a TXT record in place, and takes it
//! away again.
//!
//! It is called as `PROGRAM [its fixed arguments] present|remove NAME VALUE`, NAME being `_acme-challenge.…` without a dot
//! at its end, and says by its status that whoever asks the name's servers now sees the record, or no more. Nothing in it
//! is secret: the world is meant to read it.

use std::collections::BTreeMap;
use std::process::Stdio;

use remint_contract::{Error, ErrorKind, Verb};

/// A record and the program that keeps it.
#[derive(Debug, Clone)]
pub(crate) struct Records {
    program: Vec<String>,
    records: Vec<(String, String)>,
}

/// Puts records in place; what is there when one fails is taken away.
pub(crate) async fn present(
    commands: &BTreeMap<String, Vec<String>>,
    command: &str,
    records: Vec<(String, String)>,
    verb: Verb,
) -> Result<Records, Error> {
    let program = commands.get(command).filter(|program| !program.is_empty()).ok_or_else(|| {
        let message = "the daemon's configuration has no command of that name";
        Error::new(ErrorKind::Invalid, verb, message).with("command", command)
    })?;
    let mut there = Records { program: program.clone(), records: Vec::new() };
    for (name, value) in records {
        let put = run(program, "present", &name, &value, verb).await;
        // One that failed may be there all the same.
        there.records.push((name, value));
        if let Err(failure) = put {
            there.remove(verb).await;
            return Err(failure);
        }
    }
    Ok(there)
}

impl Records {
    /// Takes them away. One that stays says nothing to anybody once its challenge is over.
    pub(crate) async fn remove(&self, verb: Verb) {
        for (name, value) in &self.records {
            let _ = run(&self.program, "remove", name, value, verb).await;
        }
    }
}

async fn run(program: &[String], act: &str, name: &str, value: &str, verb: Verb) -> Result<(), Error> {
    let fail = |message: &str| Error::new(ErrorKind::Invalid, verb, message).with("name", name);
    let (program, arguments) = program.split_first().ok_or_else(|| fail("the command names no program"))?;
    let status = tokio::process::Command::new(program)
        .args(arguments)
        .args([act, name, value])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
        .map_err(|failure| fail("the command that sets TXT records cannot be started").because(failure))?;
    if status.success() {
        return Ok(());
    }
    Err(fail("the command that sets TXT records failed").with("status", status.to_string()))
}
