//! The workloads: each reads its file, uses what lies there all the time, and says on request which value that is.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use remint_conformance::proxy::{Asked, Way, answer};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::part::Part;

/// Between two uses of one workload.
const PACE: Duration = Duration::from_millis(500);

/// Every workload's own word on the value that it uses, by its name.
pub(crate) struct Words {
    pub(crate) address: String,
    said: Arc<Mutex<BTreeMap<String, String>>>,
    _way: Way,
}

impl Words {
    pub(crate) async fn open() -> Self {
        let said: Arc<Mutex<BTreeMap<String, String>>> = Arc::default();
        let shared = Arc::clone(&said);
        let way = Way::open(move |mut client: TcpStream| {
            let said = Arc::clone(&shared);
            async move {
                let Some(asked) = Asked::read(&mut client).await? else { return Ok(()) };
                let print = said.lock().unwrap().get(asked.path().trim_start_matches('/')).cloned();
                client.write_all(&answer("200 OK", "", &json!({ "fingerprint": print }).to_string())).await
            }
        })
        .await;
        Self { address: format!("http://{}", way.address), said, _way: way }
    }
}

/// All workloads of the incident.
pub(crate) struct Clients {
    stop: Arc<AtomicBool>,
    uses: Arc<AtomicU64>,
    failures: Arc<Mutex<Vec<String>>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Clients {
    pub(crate) fn start(parts: &[Arc<dyn Part>], words: &Words, root: &Path) -> Self {
        let mut clients =
            Self { stop: Arc::default(), uses: Arc::default(), failures: Arc::default(), tasks: Vec::new() };
        for part in parts {
            for (index, seat) in part.seats().iter().enumerate() {
                // What nobody is told to read nobody uses; and what an issuer works with it reads by itself: whoever else read
                // it from the file would be a consumer that the estate does not know, and that nobody waits for.
                if seat.own || part.workload(seat, &words.address).is_none() {
                    continue;
                }
                let (part, name, root) = (Arc::clone(part), seat.name.clone(), root.to_owned());
                let (stop, uses) = (Arc::clone(&clients.stop), Arc::clone(&clients.uses));
                let (failures, said) = (Arc::clone(&clients.failures), Arc::clone(&words.said));
                clients.tasks.push(tokio::spawn(async move {
                    let mut refused = None;
                    while !stop.load(Ordering::Relaxed) {
                        let lies = part.lies(&part.seats()[index], &root).await;
                        said.lock().unwrap().insert(name.clone(), lies.fingerprint());
                        // Who was refused waits for another value: some issuers shut out whoever tries on.
                        if refused.as_ref() != Some(&lies) {
                            uses.fetch_add(1, Ordering::Relaxed);
                            if !part.accepts(&name, &lies).await {
                                failures.lock().unwrap().push(name.clone());
                                refused = Some(lies);
                            }
                        }
                        tokio::time::sleep(PACE).await;
                    }
                }));
            }
        }
        clients
    }

    /// How often anything was used, and whose use failed.
    pub(crate) async fn stop(self) -> (u64, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        (self.uses.load(Ordering::Relaxed), self.failures.lock().unwrap().clone())
    }
}
