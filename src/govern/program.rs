//! The decision program: `remint-policy`, asked over its standard input. Cedar is linked into it and nowhere else.
//!
//! Guarantees: no answer in time, an answer that cannot be read, and a program that went away are all denials; it is started
//! again for the next question.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use remint_core::gate::{Decision, Question};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;

use crate::govern::Charter;

/// What it is called; it lies beside this program.
const NAME: &str = "remint-policy";

/// How long one answer may take: a thousand policies take a thousandth of it.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long reading the policies may take.
const START: Duration = Duration::from_secs(30);

/// The program, with one charter's policies.
#[derive(Debug)]
pub struct Program {
    path: PathBuf,
    opening: String,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    // Held so that it is killed with this.
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

/// Why nobody decides.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    #[error("the decision program {0} cannot be started; install it beside remint")]
    Start(PathBuf),
    #[error("the decision program does not answer")]
    Silent,
    /// What it says of the policies.
    #[error("{0}")]
    Policies(String),
}

impl Program {
    /// Where the program lies: beside the one that runs.
    #[must_use]
    pub fn beside() -> PathBuf {
        let own = std::env::current_exe().unwrap_or_default();
        own.parent().map_or_else(|| PathBuf::from(NAME), |folder| folder.join(NAME))
    }

    /// The program at `path`, with the policies of a charter; it is started with the first question.
    #[must_use]
    pub fn new(path: PathBuf, charter: &Charter) -> Self {
        let opening = json!({ "policies": charter.policies }).to_string();
        Self { path, opening, running: Mutex::new(None) }
    }

    /// Starts it, and learns what it says of the policies.
    ///
    /// # Errors
    /// It cannot be started, is silent, or refuses the policies.
    pub async fn check(&self) -> Result<(), ProgramError> {
        let mut running = self.running.lock().await;
        *running = Some(self.start().await?);
        Ok(())
    }

    async fn start(&self) -> Result<Running, ProgramError> {
        let mut child = Command::new(&self.path)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|_| ProgramError::Start(self.path.clone()))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (Some(input), Some(output)) = (input, output) else { return Err(ProgramError::Silent) };
        let mut running = Running { _child: child, input, output: BufReader::new(output).lines() };
        let answer = running.ask(&self.opening, START).await.ok_or(ProgramError::Silent)?;
        match answer.get("refused").and_then(Value::as_str) {
            Some(why) => Err(ProgramError::Policies(why.to_owned())),
            None if answer.get("ready").is_some() => Ok(running),
            None => Err(ProgramError::Silent),
        }
    }

    /// Puts one question.
    pub async fn decide(&self, question: &Question) -> Decision {
        self.ask(question).await.unwrap_or_else(|error| Decision::denied(error.to_string()))
    }

    /// The same, where silence is told apart from a denial.
    ///
    /// # Errors
    /// Nobody decides.
    pub async fn ask(&self, question: &Question) -> Result<Decision, ProgramError> {
        let mut running = self.running.lock().await;
        let mut program = match running.take() {
            Some(program) => program,
            None => self.start().await?,
        };
        let line = json!(question).to_string();
        let answer = program.ask(&line, PATIENCE).await.and_then(|answer| serde_json::from_value(answer).ok());
        let answer = answer.ok_or(ProgramError::Silent)?;
        // One that was silent is gone: what comes late must not be taken for the answer to the next question.
        *running = Some(program);
        Ok(answer)
    }
}

impl Running {
    async fn ask(&mut self, line: &str, patience: Duration) -> Option<Value> {
        let asked = async {
            self.input.write_all(line.as_bytes()).await.ok()?;
            self.input.write_all(b"\n").await.ok()?;
            self.input.flush().await.ok()?;
            let answer = self.output.next_line().await.ok()??;
            serde_json::from_str(&answer).ok()
        };
        tokio::time::timeout(patience, asked).await.ok()?
    }
}
