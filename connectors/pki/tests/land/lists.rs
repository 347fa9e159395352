//! A web server for a folder of lists. It can be made to serve what it had at some moment, as a cache would.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

#[derive(Default)]
struct State {
    requests: AtomicU64,
    frozen: Mutex<Option<HashMap<String, Vec<u8>>>>,
}

pub(crate) struct Lists {
    pub(crate) address: String,
    folder: PathBuf,
    state: Arc<State>,
    serving: tokio::task::JoinHandle<()>,
}

impl Lists {
    pub(crate) async fn of(folder: PathBuf) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = format!("http://{}/lists/", listener.local_addr().unwrap());
        let state = Arc::new(State::default());
        let (shared, root) = (Arc::clone(&state), folder.clone());
        let serving = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.windows(4).any(|window| window == b"\r\n\r\n") {
                    if client.read_buf(&mut head).await.unwrap_or_default() == 0 {
                        break;
                    }
                }
                shared.requests.fetch_add(1, Ordering::SeqCst);
                let head = String::from_utf8_lossy(&head).into_owned();
                let name =
                    head.split(' ').nth(1).and_then(|path| path.rsplit('/').next()).unwrap_or_default().to_owned();
                let frozen = shared.frozen.lock().unwrap().as_ref().map(|lists| lists.get(&name).cloned());
                let list = frozen.unwrap_or_else(|| std::fs::read(root.join(&name)).ok());
                let status = if list.is_some() { "200 OK" } else { "404 Not Found" };
                let body = list.unwrap_or_default();
                let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
                drop(client.write_all(&[head.as_bytes(), &body].concat()).await);
            }
        });
        Self { address, folder, state, serving }
    }

    pub(crate) fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::SeqCst)
    }

    /// From now on only what lies there now is served.
    pub(crate) fn freeze(&self) {
        *self.state.frozen.lock().unwrap() = Some(files(&self.folder));
    }

    pub(crate) fn thaw(&self) {
        *self.state.frozen.lock().unwrap() = None;
    }
}

fn files(folder: &Path) -> HashMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())).collect()
}

impl Drop for Lists {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
