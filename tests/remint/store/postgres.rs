//! The back end for several replicas: the suite, and what several of it promise together.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use remint::store::postgres::{Address, PostgresStore};
use remint::store::{Change, Rule, Store, StoreError};

use super::{at, chained, draft, key, put, suite};
use crate::postgres::server::Server;

/// A server, and databases on it that nobody else uses.
pub(crate) struct Databases {
    pub(crate) server: Server,
    password: tempfile::NamedTempFile,
}

static COUNT: AtomicU64 = AtomicU64::new(0);

impl Databases {
    /// `None`, said aloud, where there is no server.
    pub(crate) async fn find(test: &str) -> Option<Self> {
        let server = Server::find(test).await?;
        let mut password = tempfile::NamedTempFile::new().unwrap();
        writeln!(password, "{}", server.password).unwrap();
        Some(Self { server, password })
    }

    /// An empty one.
    pub(crate) async fn fresh(&self) -> Address {
        self.written().await.parse().unwrap()
    }

    /// The same, as a person writes its address.
    pub(crate) async fn written(&self) -> String {
        let name = format!("remint_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst));
        self.server.run(&format!("CREATE DATABASE {name}")).await;
        let (user, address) = (&self.server.user, &self.server.address);
        format!("postgres://{user}@{address}/{name}?password_file={}", self.password.path().display())
    }

    pub(crate) async fn store(&self) -> PostgresStore {
        PostgresStore::open(self.fresh().await).await.unwrap()
    }

    /// Runs statements in the database of an address.
    async fn within(&self, address: &Address, sql: &str) -> Result<(), sqlx::Error> {
        use sqlx::{AssertSqlSafe, ConnectOptions as _};
        let options: sqlx::postgres::PgConnectOptions = address.to_string().parse().unwrap();
        let mut connection = options.password(&self.server.password).connect().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.map(drop)
    }
}

#[tokio::test]
async fn the_store_of_replicas_holds_every_promise() {
    let Some(databases) = Databases::find("the_store_of_replicas_holds_every_promise").await else { return };
    suite(async || databases.store().await).await;
    super::copies(async || databases.store().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_write_one_chain_and_no_reader_ever_sees_a_gap() {
    let Some(databases) = Databases::find("two_replicas_write_one_chain_and_no_reader_ever_sees_a_gap").await else {
        return;
    };
    let address = databases.fresh().await;
    // All at once over an empty database: one makes the tables.
    let opened = futures::future::join_all((0..4).map(|_| PostgresStore::open(address.clone()))).await;
    let stores: Vec<Arc<PostgresStore>> = opened.into_iter().map(|store| Arc::new(store.unwrap())).collect();
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..32_u64 {
        let store = Arc::clone(&stores[usize::try_from(caller % 2).unwrap()]);
        callers.spawn(async move {
            for turn in 0..8 {
                let mut change = put("task", &format!("{caller}-{turn}"), Rule::Insert);
                change.entries =
                    vec![draft(Some("r1"), turn), draft([None, Some("r2")][usize::from(turn % 2 == 0)], turn)];
                store.commit(change).await.unwrap();
            }
        });
    }
    let reader = Arc::clone(&stores[2]);
    let mut looks = 0;
    loop {
        let seen = reader.unsequenced(10_000).await.unwrap();
        assert!(seen.iter().map(|entry| entry.id).eq(1..=seen.len() as u64), "a smaller id came later");
        looks += 1;
        if seen.len() == 32 * 8 * 2 {
            chained(&seen);
            break;
        }
    }
    assert!(looks > 1);
    while let Some(caller) = callers.join_next().await {
        caller.unwrap();
    }
    assert_eq!(stores[3].list("task", None).await.unwrap().len(), 32 * 8);
}

#[tokio::test]
async fn a_lease_that_moves_is_seen_by_a_commit_of_another_replica() {
    let Some(databases) = Databases::find("a_lease_that_moves_is_seen_by_a_commit_of_another_replica").await else {
        return;
    };
    let address = databases.fresh().await;
    let one = PostgresStore::open(address.clone()).await.unwrap();
    let two = PostgresStore::open(address).await.unwrap();
    let late = one.lease("l", "one", at(0), at(10)).await.unwrap().unwrap();
    let mut told = two.watch().await.unwrap();
    one.commit(Change { fence: Some(late.clone()), ..put("reset", "r1", Rule::Insert) }).await.unwrap();
    assert!(matches!(told.next().await, remint::store::Woken::Put { id, .. } if id == "r1"), "told across processes");
    two.lease("l", "two", at(10), at(20)).await.unwrap().unwrap();
    let refused = one.commit(Change { fence: Some(late), ..put("task", "x", Rule::Upsert) }).await;
    assert!(matches!(refused, Err(StoreError::Fenced(name)) if name == "l"));
    assert_eq!(two.get(&key("task", "x")).await.unwrap(), None);
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_an_entry_is_neither_changed_nor_deleted() {
    let Some(databases) = Databases::find("a_newer_schema_is_refused").await else { return };
    let address = databases.fresh().await;
    let store = PostgresStore::open(address.clone()).await.unwrap();
    store.commit(Change { entries: vec![draft(Some("r1"), 1)], ..Change::default() }).await.unwrap();
    for (sql, why) in [
        ("UPDATE remint.entry SET number = 2", "an entry never changes"),
        ("DELETE FROM remint.entry", "an entry is never deleted"),
        ("TRUNCATE remint.entry", "an entry is never deleted"),
    ] {
        let refused = databases.within(&address, sql).await.unwrap_err();
        assert_eq!(refused.as_database_error().unwrap().message(), why);
    }
    assert!(matches!(PostgresStore::open_alone(address.clone()).await, Err(StoreError::InUse(_))));
    databases.within(&address, "UPDATE remint.meta SET value = 2").await.unwrap();
    let refused = PostgresStore::open(address.clone()).await.err().unwrap();
    let sentence = "was written by a newer remint (schema 2, this one knows 1); use that version";
    assert_eq!(refused.to_string(), format!("{address} {sentence}"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: debug figures of both back ends, one-row commits a second from 64 callers"]
async fn rates() {
    let Some(databases) = Databases::find("rates").await else { return };
    let folder = tempfile::tempdir().unwrap();
    let embedded = remint::store::sqlite::SqliteStore::open(folder.path()).unwrap();
    for (name, store) in
        [("sqlite", Arc::new(embedded) as Arc<dyn Store>), ("postgres", Arc::new(databases.store().await))]
    {
        for callers in [1_u64, 64] {
            let begun = std::time::Instant::now();
            let turns = 6400 / callers / if callers == 1 { 16 } else { 1 };
            let mut tasks = tokio::task::JoinSet::new();
            for caller in 0..callers {
                let store = Arc::clone(&store);
                tasks.spawn(async move {
                    for turn in 0..turns {
                        store.commit(put("task", &format!("{callers}-{caller}-{turn}"), Rule::Insert)).await.unwrap();
                    }
                });
            }
            tasks.join_all().await;
            let rate = f64::from(u32::try_from(callers * turns).unwrap()) / begun.elapsed().as_secs_f64();
            println!("{name}: {rate:.0} commits/s from {callers} callers");
        }
    }
}
