//! A witness of ours, over HTTP, and the client that asks it.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use remint::evidence::witnessing::{OVER, Policy, RAISED, Refusal, Witnessing, checkpoint_over, unwitnessed};
use remint::serve::{Witness, WitnessError};
use remint::store::sqlite::SqliteStore;
use remint_contract::{Clock, TestClock};
use remint_evidence_format::cosignature::{Quorum, WitnessKey};
use remint_evidence_format::note::{Note, VerifierKey};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Log;
use crate::escrow::Counting;
use crate::store::at;

/// A running witness.
struct Running {
    key: WitnessKey,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), WitnessError>>,
}

impl Running {
    async fn start(folder: &Path, name: &str, logs: Vec<VerifierKey>) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(TestClock::new(at(1000)));
        let witness = Witness::open(folder, name, logs, clock, &Seeded(name)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (key, address) = (witness.key().clone(), listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(witness.serve(listener, async { drop(stopped.await) }));
        Self { key, address, stop, serving }
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.serving.await.unwrap().unwrap();
    }
}

/// Bytes by the name, so that two witnesses have two keys.
struct Seeded<'a>(&'a str);

impl remint::escrow::Randomness for Seeded<'_> {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), remint::escrow::NoRandomness> {
        bytes.iter_mut().zip(self.0.bytes().cycle()).for_each(|(byte, letter)| *byte = letter);
        Ok(())
    }
}

fn client(log: &Log, need: usize, witnesses: &[&Running]) -> Witnessing {
    let quorum = Quorum::new(need, witnesses.iter().map(|witness| witness.key.clone()).collect()).unwrap();
    let urls = witnesses.iter().map(|witness| format!("http://{}/", witness.address)).collect();
    let policy = Policy { quorum, urls, alarm_after: Duration::from_mins(10) };
    Witnessing::new(Arc::clone(&log.store), policy, log.clock()).unwrap()
}

async fn refusal(client: &Witnessing) -> Refusal {
    let mut refused = client.round().await.unwrap().unwrap().refused;
    assert_eq!(refused.len(), 1, "{refused:?}");
    refused.remove(0).1
}

#[tokio::test]
async fn witnesses_cosign_a_log_as_it_grows_and_a_quorum_is_shown() {
    let (log, folders) = (Log::new(), [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()]);
    let one = Running::start(folders[0].path(), "one.example", vec![log.verifier().clone()]).await;
    let two = Running::start(folders[1].path(), "two.example", vec![log.verifier().clone()]).await;
    let client = client(&log, 2, &[&one, &two]);
    assert!(client.round().await.unwrap().is_none(), "nothing was signed yet");
    let mut sizes = 0;
    for count in [1, 4, 300, 1] {
        log.grow(count).await;
        sizes += count;
        let round = client.round().await.unwrap().unwrap();
        assert!(round.refused.is_empty(), "{:?}", round.refused);
        assert_eq!((round.size, round.witnessed.holds()), (sizes, true));
        assert!(client.round().await.unwrap().is_none(), "all of them signed it");
        let (size, note) = checkpoint_over(&*log.store, sizes).await.unwrap().unwrap();
        let note = Note::parse(note.as_bytes()).unwrap();
        assert_eq!(size, sizes);
        note.verify(log.verifier()).unwrap();
        assert_eq!(one.key.verify(&note), Ok(1_700_001_000), "the witness says when, by its own clock");
    }
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn a_witness_remembers_after_its_end_and_signs_no_second_tree() {
    let (log, folder) = (Log::new(), tempfile::tempdir().unwrap());
    let witness = Running::start(folder.path(), "w.example", vec![log.verifier().clone()]).await;
    log.grow(5).await;
    assert!(client(&log, 1, &[&witness]).round().await.unwrap().unwrap().witnessed.holds());
    let key = witness.key.clone();
    witness.stop().await;
    let witness = Running::start(folder.path(), "another name", vec![log.verifier().clone()]).await;
    assert_eq!(witness.key, key, "the first run decides");

    // Another log under the same key, which never saw the witness: as large, larger, smaller.
    let fork = Log::new();
    fork.clock.advance(Duration::from_secs(1));
    fork.grow(2).await;
    assert!(matches!(refusal(&client(&fork, 1, &[&witness])).await, Refusal::Ahead { seen: 5, here: 2 }));
    fork.grow(3).await;
    assert!(matches!(refusal(&client(&fork, 1, &[&witness])).await, Refusal::Forked));
    fork.grow(3).await;
    assert!(matches!(refusal(&client(&fork, 1, &[&witness])).await, Refusal::Forked));
    assert_eq!(unwitnessed(&*fork.store, &quorum(&witness)).await.unwrap().witnessed, 0);

    log.grow(3).await;
    assert!(client(&log, 1, &[&witness]).round().await.unwrap().unwrap().witnessed.holds());
    witness.stop().await;
}

fn quorum(witness: &Running) -> Quorum {
    Quorum::new(1, vec![witness.key.clone()]).unwrap()
}

#[tokio::test]
async fn a_client_that_forgot_how_far_a_witness_is_is_told() {
    let (log, folder) = (Log::new(), tempfile::tempdir().unwrap());
    let witness = Running::start(folder.path(), "w.example", vec![log.verifier().clone()]).await;
    log.grow(5).await;
    client(&log, 1, &[&witness]).round().await.unwrap();
    // The same entries in the same order: the same tree, and a store that knows of no witness.
    let forgetful = Log::over(Arc::new(SqliteStore::open_in_memory().unwrap()), 7);
    forgetful.grow(9).await;
    assert!(client(&forgetful, 1, &[&witness]).round().await.unwrap().unwrap().witnessed.holds());
    witness.stop().await;
}

#[tokio::test]
async fn a_witness_answers_to_logs_and_keys_that_it_was_told_of_and_to_no_other() {
    let (log, folder) = (Log::new(), tempfile::tempdir().unwrap());
    let other = Log::over(Arc::new(SqliteStore::open_in_memory().unwrap()), 8);
    log.grow(1).await;
    let untold = Running::start(folder.path(), "w.example", Vec::new()).await;
    assert!(matches!(refusal(&client(&log, 1, &[&untold])).await, Refusal::Unknown));
    untold.stop().await;
    let misled = Running::start(folder.path(), "w.example", vec![other.verifier().clone()]).await;
    assert!(matches!(refusal(&client(&log, 1, &[&misled])).await, Refusal::Untrusted));
    let (stopped, gone) = (client(&log, 1, &[&misled]), misled.address);
    misled.stop().await;
    let refused = refusal(&stopped).await;
    assert!(
        matches!(refused, Refusal::Unreachable { .. }) && refused.to_string().contains(&gone.to_string()),
        "{refused}"
    );
}

#[tokio::test]
async fn a_folder_has_one_witness_and_its_key_is_not_for_others() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let clock = || -> Arc<dyn Clock> { Arc::new(TestClock::new(at(0))) };
    let open = || Witness::open(folder.path(), "w.example", Vec::new(), clock(), &Counting::default());
    let first = open().unwrap();
    assert!(matches!(open(), Err(WitnessError::Held(_))));
    drop(first);
    let mode = std::fs::metadata(folder.path().join("witness.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    std::fs::write(folder.path().join("witness.key"), "nonsense").unwrap();
    assert!(matches!(open(), Err(WitnessError::Key { .. })), "a key that cannot be read is never replaced");
}

#[tokio::test]
async fn a_witness_that_cannot_read_its_memory_does_not_sign() {
    let (log, folder) = (Log::new(), tempfile::tempdir().unwrap());
    let witness = Running::start(folder.path(), "w.example", vec![log.verifier().clone()]).await;
    log.grow(5).await;
    client(&log, 1, &[&witness]).round().await.unwrap();
    let memory = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path());
    let memory = memory.filter(|path| path.extension().is_some_and(|kind| kind == "checkpoint")).collect::<Vec<_>>();
    assert_eq!(memory.len(), 1);
    let text = std::fs::read_to_string(&memory[0]).unwrap();
    std::fs::write(&memory[0], text.replacen("\n5\n", "\n4\n", 1)).unwrap();
    log.grow(1).await;
    assert!(matches!(refusal(&client(&log, 1, &[&witness])).await, Refusal::Answered(500)));
    witness.stop().await;
}

#[tokio::test]
async fn the_age_is_that_of_the_oldest_entry_that_no_quorum_saw() {
    let (log, folder) = (Log::new(), tempfile::tempdir().unwrap());
    let witness = Running::start(folder.path(), "w.example", vec![log.verifier().clone()]).await;
    let client = client(&log, 1, &[&witness]);
    let age = async || client.unwitnessed().await.unwrap().age(log.clock.now()).as_secs();
    assert_eq!(age().await, 0, "an empty log has nothing to be seen");
    log.grow(3).await;
    log.clock.advance(Duration::from_secs(40));
    log.grow(2).await;
    log.clock.advance(Duration::from_secs(2));
    assert_eq!(age().await, 42);
    assert_eq!(
        client.unwitnessed().await.unwrap().sentence(log.clock.now()),
        "A quorum of witnesses saw 0 entries; the oldest that it did not see was recorded at 2023-11-14T22:13:20Z, 42 s ago."
    );
    client.round().await.unwrap();
    assert_eq!(age().await, 0);
    assert_eq!(
        client.unwitnessed().await.unwrap().sentence(log.clock.now()),
        "A quorum of witnesses saw all 5 entries."
    );
    log.grow(1).await;
    log.clock.advance(Duration::from_secs(7));
    assert_eq!(age().await, 7);
    // A quorum that nobody met: what one witness saw is not what two have to see.
    let stricter = Quorum::new(1, vec![Running::start(tempfile::tempdir().unwrap().path(), "x", Vec::new()).await.key]);
    assert_eq!(unwitnessed(&*log.store, &stricter.unwrap()).await.unwrap().witnessed, 0);
    witness.stop().await;
}

/// Kinds of the entries of the log that tell of the alarm.
async fn told(log: &Log) -> Vec<String> {
    log.sequencer.flush().await.unwrap();
    let all = log.store.sequenced(0, usize::MAX).await.unwrap();
    let kinds = all.iter().map(|stored| remint_evidence_format::entry::parse(&stored.bytes).unwrap().kind.to_string());
    kinds.filter(|kind| kind.starts_with("log.")).collect()
}

#[tokio::test]
async fn an_alarm_is_told_once_when_it_begins_and_once_when_it_is_over() {
    use remint::stream::{FileSink, Secret, Sender, Wanted};
    let (log, folder) = (Log::new(), tempfile::tempdir().unwrap());
    let witness = Running::start(&folder.path().join("witness"), "w.example", vec![log.verifier().clone()]).await;
    let one = client(&log, 1, &[&witness]);
    log.grow(1).await;
    log.clock.advance(Duration::from_mins(10));
    one.watch().await;
    assert_eq!(told(&log).await, Vec::<String>::new());
    log.clock.advance(Duration::from_secs(1));
    one.watch().await;
    one.watch().await;
    // Another replica, or the same one after a restart.
    client(&log, 1, &[&witness]).watch().await;
    assert_eq!(told(&log).await, [RAISED]);
    assert!(one.alarmed());
    one.round().await.unwrap();
    one.watch().await;
    one.watch().await;
    assert_eq!(told(&log).await, [RAISED, OVER]);
    assert!(!one.alarmed());
    log.clock.advance(Duration::from_mins(11));
    one.watch().await;
    assert_eq!(told(&log).await, [RAISED, OVER, RAISED]);

    let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let sink = Box::new(FileSink::new(folder.path().join("events"), secret));
    let (wanted, store) = (Wanted(vec!["log.".to_owned()]), Arc::clone(&log.store));
    let sender = Sender::new("duty", wanted, sink, store, log.clock(), "a", "log.example");
    assert_eq!(sender.turn().await.unwrap(), 3);
    let events = std::fs::read_to_string(folder.path().join("events")).unwrap();
    assert!(events.lines().all(|line| line.contains("\"type\":\"dev.remint.log.")), "{events}");
    witness.stop().await;
}
