//! A way to a server that can lose the answer to a commit: what was asked for is done, and nobody hears of it.

use std::io::{Error, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use remint_conformance::gate::{Gate, Passage, Passing};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How a commit goes over the wire.
const COMMIT: &[u8] = b"COMMIT\0";

pub(crate) struct Way {
    pub(crate) address: String,
    pub(crate) gate: Gate,
    armed: Arc<AtomicBool>,
}

impl Way {
    /// To `host:port`, without TLS.
    pub(crate) async fn to(upstream: &str) -> Self {
        let (upstream, armed) = (upstream.to_owned(), Arc::new(AtomicBool::new(false)));
        let shared = Arc::clone(&armed);
        let gate = Gate::open(move |client, passing| {
            let (upstream, armed) = (upstream.clone(), Arc::clone(&shared));
            async move { pass(client, &upstream, &armed, &passing).await }
        })
        .await;
        Self { address: gate.address.clone(), gate, armed }
    }

    /// The answer to the next commit is lost, or no more.
    pub(crate) fn lose(&self, lost: bool) {
        self.armed.store(lost, Ordering::SeqCst);
    }
}

async fn pass(mut client: TcpStream, upstream: &str, armed: &AtomicBool, passing: &Passing) -> std::io::Result<()> {
    let mut server = TcpStream::connect(upstream).await?;
    let (mut asked, mut said) = (vec![0; 16 << 10], vec![0; 16 << 10]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let asked = part(&asked, read?)?;
                // A client says nothing more before it was answered: what it sends at once is one request.
                let passage = passing.next().await;
                if passage == Passage::Never {
                    return Ok(());
                }
                server.write_all(asked).await?;
                if passage == Passage::Last {
                    passing.shut().await;
                }
                if passage == Passage::Unanswered {
                    let answered = server.read(&mut said).await.map(drop);
                    passing.shut().await;
                    return answered;
                }
                let commits = asked.windows(COMMIT.len()).any(|window| window == COMMIT);
                if commits && armed.swap(false, Ordering::SeqCst) {
                    // It was done when the server said so.
                    return server.read(&mut said).await.map(drop);
                }
            }
            read = server.read(&mut said) => client.write_all(part(&said, read?)?).await?,
        }
    }
}

fn part(bytes: &[u8], read: usize) -> std::io::Result<&[u8]> {
    bytes.get(..read).filter(|part| !part.is_empty()).ok_or_else(|| Error::from(ErrorKind::UnexpectedEof))
}
