//! Who there is in the demo: every credential with what it opens, where it lies and who uses it. Pure.

use super::{KEEP, RUNNER_FILES};

/// The name of the compromised workload.
pub(super) const RUNNER_NAME: &str = "ci-runner";

/// One credential of the cast; its name is also its target's.
#[derive(Debug, Clone, Default)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) issuer: String,
    /// The issuer or store that Remint administers with it.
    pub(super) administers: Option<String>,
    /// The credential that mints it, when that is not Remint's own.
    pub(super) minted_by: Option<String>,
    pub(super) dies_with_parent: bool,
    /// Credentials that it can mint.
    pub(super) mints: Vec<String>,
    /// (store, prefix) that it can read.
    pub(super) reads: Vec<(String, String)>,
    /// (store, path) where it lies. The first is the source of truth, the last is what its consumer reads.
    pub(super) places: Vec<(String, String)>,
    pub(super) consumer: Option<String>,
    pub(super) group: Option<String>,
    /// Somebody has a session that came from it.
    pub(super) sessions: bool,
    /// The compromised runner leads to it.
    pub(super) reached: bool,
}

/// Every credential, parents before children.
#[derive(Debug)]
pub(super) struct Cast {
    pub(super) members: Vec<Member>,
}

impl Cast {
    /// The fixed part that shows every relation, filled up with plain applications: two of three are reached.
    pub(super) fn new(credentials: usize, direct_path: bool) -> Self {
        let mut members = own();
        members.extend(runners());
        members.extend(chain());
        members.extend(minters());
        members.extend(group());
        members.extend(readers_of_one_another(direct_path));
        let left = credentials.saturating_sub(members.len());
        let per_workload = left.div_ceil(MOST_WORKLOADS).max(1);
        members.extend((0..left).map(|index| application(index, per_workload)));
        Self { members }
    }
}

/// What Remint itself acts with. Only Remint reaches where they lie.
fn own() -> Vec<Member> {
    let administered = ["ids-core", "ids-cloud", "ids-tokens", "vault-ci", "vault-prod"];
    let own = administered.iter().map(|&system| {
        let name = format!("remint-{system}");
        let issuer = if system.starts_with("ids-") { system } else { "ids-core" };
        Member {
            administers: Some(system.to_owned()),
            places: vec![(KEEP.to_owned(), format!("own/{name}"))],
            ..member(&name, issuer)
        }
    });
    own.collect()
}

/// What only the compromised runner uses: dark until it is rebuilt.
fn runners() -> Vec<Member> {
    let deploy = Member { reads: reads("vault-ci", "ci/"), ..member("ci-deploy", "ids-core") };
    let plain = ["ci-artifacts", "ci-registry"].map(|name| member(name, "ids-cloud"));
    let runner = |own: Member| Member {
        places: vec![(RUNNER_FILES.to_owned(), own.name.clone())],
        consumer: Some(RUNNER_NAME.to_owned()),
        reached: true,
        ..own
    };
    [deploy].into_iter().chain(plain).map(runner).collect()
}

/// From what the runner reads, three deep: each reads the place where the next lies.
fn chain() -> Vec<Member> {
    let mut stage = used(member("stage-reader", "ids-core"), "vault-ci", "ci");
    stage.reads = reads("vault-prod", "stage/");
    stage.reads.extend(reads("vault-prod", "loop-a/"));
    let mut prod = used(member("prod-reader", "ids-core"), "vault-prod", "stage");
    prod.reads = reads("vault-prod", "prod/");
    let mut payments = used(member("payments-db", "ids-core"), "vault-prod", "prod");
    payments.sessions = true;
    [stage, prod, payments].map(reached).into()
}

/// A minter whose keys outlive it, and a parent whose tokens die with it.
fn minters() -> Vec<Member> {
    let mut minter = used(member("cloud-minter", "ids-cloud"), "vault-ci", "ci");
    minter.mints = vec!["cloud-app".to_owned()];
    let app = used(member("cloud-app", "ids-cloud"), "vault-ci", "apps");
    let mut parent = used(member("token-parent", "ids-tokens"), "vault-ci", "ci");
    parent.mints = vec!["token-child-a".to_owned(), "token-child-b".to_owned()];
    let children = ["token-child-a", "token-child-b"].map(|name| {
        let mut child = used(member(name, "ids-tokens"), "vault-ci", "apps");
        child.minted_by = Some("token-parent".to_owned());
        child.dies_with_parent = true;
        child
    });
    [minter, app, parent].into_iter().chain(children).map(reached).collect()
}

/// Three that only work together.
fn group() -> Vec<Member> {
    let mesh = ["mesh-a", "mesh-b", "mesh-c"].map(|name| {
        let mut member = used(member(name, "ids-core"), "vault-prod", "stage");
        member.group = Some("mesh".to_owned());
        reached(member)
    });
    mesh.into()
}

/// Each reads the place where the other lies: whichever is replaced first, the other's old value reads it.
fn readers_of_one_another(direct_path: bool) -> Vec<Member> {
    let mut a = used(member("loop-a", "ids-core"), "vault-prod", "loop-a");
    a.reads = reads("vault-prod", "loop-b/");
    let mut b = used(member("loop-b", "ids-core"), "vault-prod", "loop-b");
    b.reads = reads("vault-prod", "loop-a/");
    if direct_path {
        a.places.push(("vault-prod".to_owned(), "quiet/loop-a".to_owned()));
    }
    [a, b].map(reached).into()
}

/// One of the many: two of three lie where the runner's chain reads, the third is a bystander.
fn application(index: usize, per_workload: usize) -> Member {
    let issuer = if index.is_multiple_of(2) { "ids-core" } else { "ids-cloud" };
    let workload = format!("svc-app-{:03}", index / per_workload);
    let (name, store, folder) = match index % 3 {
        0 => (format!("app-{index:03}"), "vault-ci", "ci"),
        1 => (format!("app-{index:03}"), "vault-prod", "stage"),
        _ => (format!("clean-{index:03}"), "vault-prod", "clean"),
    };
    let reached = folder != "clean";
    Member { consumer: Some(workload), reached, ..used(member(&name, issuer), store, folder) }
}

fn member(name: &str, issuer: &str) -> Member {
    Member { name: name.to_owned(), issuer: issuer.to_owned(), ..Member::default() }
}

/// Lies in a folder of a store, and has a service of its own that uses it.
fn used(own: Member, store: &str, folder: &str) -> Member {
    Member {
        places: vec![(store.to_owned(), format!("{folder}/{}", own.name))],
        consumer: Some(format!("svc-{}", own.name)),
        ..own
    }
}

fn reached(own: Member) -> Member {
    Member { reached: true, ..own }
}

fn reads(store: &str, prefix: &str) -> Vec<(String, String)> {
    vec![(store.to_owned(), prefix.to_owned())]
}

/// Beyond this many applications a service uses several.
const MOST_WORKLOADS: usize = 200;
