//! A crash between any two of the files that a verb writes: the one that comes next cannot be written, what came before
//! stays, and the host's own course goes on from there. Nothing lies between the connector and its folder that could be cut.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use remint_contract::{Connector, ErrorKind, Intent, Minted, Recovered, Strategy, Target, Verb, Verdict, VersionId};

use crate::land::{Land, mint, request};

/// What stands where something has to be written.
struct InTheWay {
    place: PathBuf,
    /// What was there before.
    away: Option<PathBuf>,
}

impl InTheWay {
    /// Of everything that would be written into a folder.
    fn of_folder(place: PathBuf) -> Self {
        let away = place.with_extension("away");
        let away = fs::rename(&place, &away).is_ok().then_some(away);
        fs::write(&place, "").unwrap();
        Self { place, away }
    }

    /// Of one file: what is written beside it first.
    fn of_file(file: &Path) -> Self {
        let name = file.file_name().unwrap().to_str().unwrap();
        let place = file.with_file_name(format!(".{name}.new"));
        fs::create_dir(&place).unwrap();
        Self { place, away: None }
    }

    fn clear(self) {
        if self.place.is_dir() {
            return fs::remove_dir(self.place).unwrap();
        }
        fs::remove_file(&self.place).unwrap();
        if let Some(away) = self.away {
            fs::rename(away, self.place).unwrap();
        }
    }
}

fn list_of(land: &Land, authority: &Target, generation: &Minted) -> PathBuf {
    let name = format!("{}-{}.crl", authority.name, generation.version.0.replace(':', ""));
    land.folder().parent().unwrap().join("published").join(name)
}

fn record(land: &Land, authority: &Target, part: &str, made: &Minted) -> PathBuf {
    land.folder().join(&authority.name).join(part).join(format!("{}.json", made.version.0.replace(':', "")))
}

async fn alive(land: &Land, connector: &dyn Connector, target: &Target) -> BTreeSet<VersionId> {
    let live = connector.enumerate(&land.call(), std::slice::from_ref(target)).await.unwrap();
    live.into_iter().filter(|live| live.target.as_ref() == Some(&target.name)).map(|live| live.version).collect()
}

/// A mint that ends at what is in the way, and is taken up again.
async fn mint_past(land: &Land, connector: &dyn Connector, target: &Target, way: InTheWay) -> (Minted, bool) {
    let strategy = if target.settings.get("authority").is_some() { Strategy::Reissue } else { Strategy::DualTrust };
    let (call, request) = (land.call(), request(target, strategy));
    let error = connector.mint(&call, &request).await.unwrap_err();
    way.clear();
    let intent = Intent {
        operation: call.operation.clone(),
        verb: Verb::Mint,
        target: target.clone(),
        version: None,
        mint: Some(request.clone()),
    };
    match connector.recover(&call, &intent).await.unwrap() {
        Recovered::NotDone => (connector.mint(&call, &request).await.unwrap(), false),
        Recovered::Orphan(version) => {
            assert_eq!(error.kind, ErrorKind::Unclear, "nothing was done, it says: {error}");
            connector.revoke(&land.call(), target, &version).await.unwrap();
            (mint(land, connector, target).await, true)
        }
        Recovered::Done(_) => panic!("a key is given away once"),
    }
}

/// A revocation that ends at what is in the way, and is made again.
async fn revoke_past(land: &Land, connector: &dyn Connector, target: &Target, made: &Minted, way: InTheWay) {
    let call = land.call();
    let intent = Intent {
        operation: call.operation.clone(),
        verb: Verb::Revoke,
        target: target.clone(),
        version: Some(made.version.clone()),
        mint: None,
    };
    let error = connector.revoke(&call, target, &made.version).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unclear, "{error}");
    way.clear();
    let answer = connector.recover(&call, &intent).await.unwrap();
    assert!(matches!(answer, Recovered::NotDone), "it is not on the list yet: {answer:?}");
    connector.revoke(&call, target, &made.version).await.unwrap();
    assert!(matches!(connector.recover(&call, &intent).await.unwrap(), Recovered::Done(None)));
    assert!(!alive(land, connector, target).await.contains(&made.version));
}

#[tokio::test]
async fn a_mint_of_a_leaf_is_taken_up_again_after_a_crash_before_each_file() {
    let land = Land::new().await;
    let connector = land.open(&[]);
    let authority = land.authority();
    let generation = mint(&land, connector.as_ref(), &authority).await;
    for (made, way) in [
        (false, InTheWay::of_folder as fn(PathBuf) -> InTheWay),
        // A list is only written where there is no good one.
        (true, |list| {
            fs::remove_file(&list).unwrap();
            InTheWay::of_file(&list)
        }),
    ] {
        let target = land.leaf(&authority);
        let old = mint(&land, connector.as_ref(), &target).await;
        let issued = land.folder().join(&authority.name).join("issued");
        let way = way(if made { list_of(&land, &authority, &generation) } else { issued });
        let (new, found) = mint_past(&land, connector.as_ref(), &target, way).await;
        assert_eq!(found, made);
        let expected = BTreeSet::from([old.version.clone(), new.version.clone()]);
        assert_eq!(alive(&land, connector.as_ref(), &target).await, expected);
        for leaf in [&old, &new] {
            let verdict = connector.probe(&land.call(), &target, &leaf.material, 0).await.unwrap();
            assert_eq!(verdict, Verdict::Accepted);
        }
    }
}

#[tokio::test]
async fn a_mint_of_a_generation_is_taken_up_again_after_a_crash_before_each_file() {
    let land = Land::new().await;
    let connector = land.open(&[]);
    let authority = land.authority();
    let old = mint(&land, connector.as_ref(), &authority).await;
    let home = land.folder().join(&authority.name);
    let published = land.folder().parent().unwrap().join("published");
    let mut expected = BTreeSet::from([old.version.clone()]);
    for (made, folder) in [(false, home.join("generations")), (true, home.join("issued")), (true, published)] {
        let way = InTheWay::of_folder(folder);
        let (new, found) = mint_past(&land, connector.as_ref(), &authority, way).await;
        assert_eq!(found, made);
        expected.insert(new.version);
        assert_eq!(alive(&land, connector.as_ref(), &authority).await, expected);
    }
    // Who signs is still the old one.
    let leaf = mint(&land, connector.as_ref(), &land.leaf(&authority)).await;
    assert!(leaf.material.username.unwrap().contains(old.material.username.unwrap().trim()));
}

#[tokio::test]
async fn the_first_generation_of_an_authority_and_an_activation_are_taken_up_again() {
    let land = Land::new().await;
    let connector = land.open(&[]);
    let authority = land.authority();
    let active = land.folder().join(&authority.name).join("active");
    let (first, found) = mint_past(&land, connector.as_ref(), &authority, InTheWay::of_file(&active)).await;
    assert!(found);
    assert_eq!(alive(&land, connector.as_ref(), &authority).await, BTreeSet::from([first.version.clone()]));
    // It is not the first any more, so it signs when it is activated.
    let call = land.call();
    let way = InTheWay::of_file(&active);
    let error = connector.promote(&call, &authority.name, &first.version.0).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unclear, "{error}");
    way.clear();
    connector.promote(&call, &authority.name, &first.version.0).await.unwrap();
    let leaf = mint(&land, connector.as_ref(), &land.leaf(&authority)).await;
    assert!(leaf.material.username.unwrap().contains(first.material.username.unwrap().trim()));
}

#[tokio::test]
async fn a_revocation_is_taken_up_again_after_a_crash_before_each_file() {
    let land = Land::new().await;
    let connector = land.open(&[]);
    let authority = land.authority();
    let signer = mint(&land, connector.as_ref(), &authority).await;
    let list = list_of(&land, &authority, &signer);
    for at_list in [false, true] {
        let target = land.leaf(&authority);
        let leaf = mint(&land, connector.as_ref(), &target).await;
        let file = if at_list { list.clone() } else { record(&land, &authority, "issued", &leaf) };
        revoke_past(&land, connector.as_ref(), &target, &leaf, InTheWay::of_file(&file)).await;
        let verdict = connector.probe(&land.call(), &target, &leaf.material, 0).await.unwrap();
        assert_eq!(verdict, Verdict::Denied);
    }
    for part in ["issued", "generations", "list"] {
        let authority = land.authority();
        let generation = mint(&land, connector.as_ref(), &authority).await;
        let target = land.leaf(&authority);
        let leaf = mint(&land, connector.as_ref(), &target).await;
        let file = match part {
            "issued" => record(&land, &authority, part, &leaf),
            "generations" => record(&land, &authority, part, &generation),
            _ => list_of(&land, &authority, &generation),
        };
        revoke_past(&land, connector.as_ref(), &authority, &generation, InTheWay::of_file(&file)).await;
        for (target, dead) in [(&authority, &generation), (&target, &leaf)] {
            let verdict = connector.probe(&land.call(), target, &dead.material, 0).await.unwrap();
            assert_eq!(verdict, Verdict::Denied, "{part}");
        }
    }
}
