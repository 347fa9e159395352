//! The web server of all names: port 80 of each leads here. It serves the files of a root, and passes on what is not there.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(crate) struct Web {
    root: tempfile::TempDir,
    onward: Mutex<Option<SocketAddr>>,
}

/// Every test of the program has the same one: the server looks at one port.
static SHARED: OnceLock<Arc<Web>> = OnceLock::new();

impl Web {
    pub(crate) async fn shared(port: u16) -> Arc<Self> {
        let web = SHARED.get_or_init(|| {
            let web = Arc::new(Self { root: tempfile::tempdir().unwrap(), onward: Mutex::new(None) });
            let serving = Arc::clone(&web);
            // It outlives the test that was first.
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async move {
                    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
                    while let Ok((client, _)) = listener.accept().await {
                        let web = Arc::clone(&serving);
                        tokio::spawn(async move { drop(web.answer(client).await) });
                    }
                });
            });
            web
        });
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::task::yield_now().await;
        }
        Arc::clone(web)
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.root.path().to_owned()
    }

    pub(crate) fn pass_on(&self, to: SocketAddr) {
        *self.onward.lock().unwrap() = Some(to);
    }

    async fn answer(&self, mut client: TcpStream) -> std::io::Result<()> {
        let mut head = Vec::new();
        while !head.windows(4).any(|window| window == b"\r\n\r\n") {
            if client.read_buf(&mut head).await? == 0 {
                return Ok(());
            }
        }
        let text = String::from_utf8_lossy(&head).into_owned();
        let path = text.split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
        if let Ok(body) = std::fs::read(self.root.path().join(path)) {
            let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
            return client.write_all(&[head.as_bytes(), &body].concat()).await;
        }
        let onward = *self.onward.lock().unwrap();
        let Some(onward) = onward else {
            return client.write_all(b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").await;
        };
        let mut server = TcpStream::connect(onward).await?;
        server.write_all(&head).await?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer).await?;
        client.write_all(&answer).await
    }
}
