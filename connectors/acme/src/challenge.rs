//! Answers to http-01 challenges: a file below a web root, or a listener that is there as long as the challenge is.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::config::Challenge;

/// Answers that are served until this is dropped.
#[derive(Debug)]
pub(crate) struct Served {
    files: Vec<PathBuf>,
    listener: Option<JoinHandle<()>>,
}

/// Puts the answers (by token) where the server looks for them.
pub(crate) async fn serve(how: &Challenge, answers: HashMap<String, String>) -> io::Result<Served> {
    match how {
        Challenge::Webroot(root) => {
            let mut served = Served { files: Vec::new(), listener: None };
            for (token, answer) in answers {
                served.files.push(put(root, &token, &answer)?);
            }
            Ok(served)
        }
        Challenge::Listen(address) => {
            Ok(Served { files: Vec::new(), listener: Some(listen(*address, answers).await?) })
        }
        // It has records, and no files.
        Challenge::Dns { .. } => Ok(Served { files: Vec::new(), listener: None }),
    }
}

fn put(root: &Path, token: &str, answer: &str) -> io::Result<PathBuf> {
    // What comes from the server must not choose another folder.
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the token of a challenge holds other characters"));
    }
    let folder = root.join(PATH.trim_matches('/'));
    std::fs::create_dir_all(&folder)?;
    let path = folder.join(token);
    remint_certificate::replace(&path, answer.as_bytes(), 0o644)?;
    Ok(path)
}

async fn listen(address: SocketAddr, answers: HashMap<String, String>) -> io::Result<JoinHandle<()>> {
    let listener = TcpListener::bind(address).await?;
    let answers = Arc::new(answers);
    // It is owned by what is returned, and ends with it.
    Ok(tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            // One after the other: the server asks from a few places, each once.
            let _ = tokio::time::timeout(PATIENCE, answer(client, &answers)).await;
        }
    }))
}

async fn answer(mut client: TcpStream, answers: &HashMap<String, String>) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|window| window == b"\r\n\r\n") && head.len() < LONGEST {
        if client.read_buf(&mut head).await? == 0 {
            break;
        }
    }
    let head = String::from_utf8_lossy(&head);
    let path = head.strip_prefix("GET ").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    let answer = path.strip_prefix(PATH).and_then(|token| answers.get(token));
    let (status, body) = answer.map_or(("404 Not Found", ""), |answer| ("200 OK", answer));
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    client.write_all(head.as_bytes()).await?;
    client.write_all(body.as_bytes()).await?;
    client.shutdown().await
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(listener) = &self.listener {
            listener.abort();
        }
        for file in &self.files {
            // Best effort: an answer is worth nothing once its challenge is over.
            let _ = std::fs::remove_file(file);
        }
    }
}

const PATH: &str = "/.well-known/acme-challenge/";
const LONGEST: usize = 8 << 10;
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);
