//! The authority itself, Remint's own means to issue, replaced while it works.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use remint_contract::{Connector, Target, Verdict};

use crate::land::tls::{Belief, Server};
use crate::land::{Land, mint};

/// Makes leaves and shows each to the relying party, until told to stop. Returns how many.
async fn work(land: &Land, connector: &dyn Connector, authority: &Target, stop: &AtomicBool) -> usize {
    let mut made = 0;
    while !stop.load(Ordering::SeqCst) {
        let target = land.leaf(authority);
        let leaf = mint(land, connector, &target).await;
        let verdict = connector.probe(&land.call(), &target, &leaf.material, 1).await.unwrap();
        assert_eq!(verdict, Verdict::Accepted, "leaf {made}");
        made += 1;
    }
    made
}

#[tokio::test]
async fn an_authority_is_replaced_while_it_issues_and_nobody_who_got_the_bundle_first_refuses_a_leaf() {
    let land = Land::new().await;
    let alone = land.open(&[]);
    let authority = land.authority();
    let old = mint(&land, alone.as_ref(), &authority).await;
    let own = mint(&land, alone.as_ref(), &land.leaf(&authority)).await;
    let public = |made: &remint_contract::Minted| format!("{}\n", made.material.username.as_deref().unwrap());
    let bundle = Arc::new(Mutex::new(public(&old)));
    let (read, every) = (Arc::clone(&bundle), land.believes());
    let believes = move || Belief { roots: read.lock().unwrap().clone(), lists: every().lists };
    let server = Server::start(&own.material, Some(Box::new(believes))).await;
    let roots = land.folder().join("server.pem");
    std::fs::write(&roots, public(&old)).unwrap();
    let connector = land.open_trusting(&server.address, &roots);

    let stop = AtomicBool::new(false);
    let change = async {
        let new = mint(&land, connector.as_ref(), &authority).await;
        // Not trusted yet, and so not used yet.
        assert_eq!(connector.probe(&land.call(), &authority, &new.material, 1).await.unwrap(), Verdict::Denied);
        bundle.lock().unwrap().push_str(&public(&new));
        assert_eq!(connector.probe(&land.call(), &authority, &new.material, 1).await.unwrap(), Verdict::Accepted);
        connector.promote(&land.call(), &authority.name, &new.version.0).await.unwrap();
        let target = land.leaf(&authority);
        let leaf = mint(&land, connector.as_ref(), &target).await;
        assert!(leaf.material.username.unwrap().contains(public(&new).trim()), "the new generation signs");
        stop.store(true, Ordering::SeqCst);
        new
    };
    let (made, new) = tokio::join!(work(&land, connector.as_ref(), &authority, &stop), change);
    assert!(made > 0);

    *bundle.lock().unwrap() = public(&new);
    connector.revoke(&land.call(), &authority, &old.version).await.unwrap();
    for endpoint in 0..2 {
        let call = land.call();
        assert_eq!(connector.probe(&call, &authority, &old.material, endpoint).await.unwrap(), Verdict::Denied);
        assert_eq!(connector.probe(&call, &authority, &new.material, endpoint).await.unwrap(), Verdict::Accepted);
    }
}
