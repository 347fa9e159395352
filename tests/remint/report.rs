//! The page of a reset: whole, alone, escaped, and silent on what is broken.

use std::collections::BTreeSet;
use std::sync::Arc;

use remint::engine::Engine;
use remint::engine::reset::plan_bytes;
use remint::evidence::{Sequencer, export_seen};
use remint::report::render;
use remint_contract::{Clock, ResetId, SystemClock};
use remint_evidence_format::bundle::{self, Bundle};
use remint_evidence_format::note::SigningKey;
use zeroize::Zeroizing;

use crate::rig::Rig;

fn key() -> Arc<SigningKey> {
    Arc::new(SigningKey::from_seed("log.example", Zeroizing::new([7; 32])).unwrap())
}

async fn exported(engine: &Engine, id: &ResetId) -> Bundle {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Sequencer::new(Arc::clone(&engine.store), key(), clock, "test").flush().await.unwrap();
    let plan = plan_bytes(&engine.reset(id).await.unwrap().plan);
    export_seen(&*engine.store, id, &plan, &key(), &[]).await.unwrap()
}

fn page(bundle: &Bundle) -> String {
    render(Some(bundle), &bundle.verify(Some(key().verifier()))).unwrap()
}

/// Every attribute value that follows this.
fn values<'a>(page: &'a str, before: &str) -> Vec<&'a str> {
    page.match_indices(before).map(|(at, _)| page[at + before.len()..].split('"').next().unwrap()).collect()
}

/// Elements are closed in the order in which they were opened; nothing is loaded from elsewhere, nothing runs.
fn assert_well_formed(page: &str) {
    let mut open: Vec<&str> = Vec::new();
    let (head, rest) = page.split_once("<style>").unwrap();
    let body = rest.split_once("</style>").unwrap().1;
    for tag in [head, body].concat().split('<').skip(1) {
        let tag = tag.split('>').next().unwrap();
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap().to_owned();
        if tag.starts_with('/') {
            let last = open.pop().unwrap_or_default();
            assert_eq!(last, name, "</{name}> closes <{last}>");
        } else if !(tag.ends_with('/') || ["!doctype", "meta"].contains(&name.as_str())) {
            let at = page.find(&format!("<{name}")).unwrap();
            open.push(&page[at + 1..at + 1 + name.len()]);
        }
    }
    assert_eq!(open, Vec::<&str>::new());
    for word in ["<script", "javascript:", "onload", "<img", "<link", "@import", "url(", "src="] {
        assert!(!page.contains(word), "{word}");
    }
    let ids = values(page, " id=\"");
    let known: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(ids.len(), known.len(), "an id stands twice");
    for target in values(page, "href=\"#").into_iter().chain(values(page, "aria-labelledby=\"")) {
        assert!(known.contains(target), "#{target} is nowhere");
    }
}

#[tokio::test]
async fn a_complete_reset_has_a_page_that_tells_all_of_it_and_needs_nothing_else() {
    let rig = Rig::start(3).await;
    let engine = rig.engine();
    let reset = rig.reset(&engine, rig.plan()).await;
    engine.reprove(&reset.id).await.unwrap();
    let bundle = exported(&engine, &reset.id).await;
    let page = page(&bundle);
    assert_well_formed(&page);
    for said in [
        "Verified and complete",
        "INC-1",
        "asked for by <strong>tester</strong>",
        "<span class=\"value\">3 of 3</span>",
        "Credential/app2",
        "<strong>ungoverned</strong>",
        "PR.AA-01",
        "not covered: the requester was not verified",
        "the last old value was refused: contained",
        "<td>refused</td>",
    ] {
        assert!(page.contains(said), "{said}\n{page}");
    }
    assert_eq!(page, self::page(&bundle), "the same bundle gives the same page");
}

#[tokio::test]
async fn what_is_not_done_stands_on_top_and_is_called_so() {
    let rig = Rig::start(2).await;
    let engine = rig.engine();
    let reset = rig.reset(&engine, rig.plan()).await;
    let page = page(&exported(&engine, &reset.id).await);
    assert_well_formed(&page);
    assert!(page.contains("Not complete"), "{page}");
    let (findings, table) = (page.find("What does not hold").unwrap(), page.find("Everything reached").unwrap());
    assert!(findings < table);
    assert!(page.contains("until proven again at"));
}

#[tokio::test]
async fn a_broken_bundle_is_not_quoted() {
    let rig = Rig::start(1).await;
    let engine = rig.engine();
    let reset = rig.reset(&engine, rig.plan()).await;
    let bundle = exported(&engine, &reset.id).await;
    let mut files = bundle.files().clone();
    files.get_mut(bundle::ENTRIES).unwrap()[40] ^= 1;
    let page = page(&Bundle::from_files(files));
    assert_well_formed(&page);
    assert!(page.contains("Not verified: do not rely on it"));
    assert!(!page.contains("app0") && !page.contains("tester"), "{page}");
    let nothing = bundle::verify(b"nothing", None);
    assert_well_formed(&render(None, &nothing).unwrap());
}

#[tokio::test]
async fn what_people_write_cannot_become_markup() {
    let rig = Rig::start(1).await;
    let engine = rig.engine();
    let id = engine.context.reset().unwrap();
    let request = remint::engine::reset::Request {
        id: id.clone(),
        plan: rig.plan(),
        estate: rig.estate.clone(),
        reason: "</p><script>alert(1)</script>\u{202e}gnp.exe".to_owned(),
        by: "\"><img src=x>".to_owned(),
        at: engine.context.clock.now(),
    };
    engine.request(request).await.unwrap();
    engine.reject(&id, "a&b", "<b>no</b>").await.unwrap();
    let page = page(&exported(&engine, &id).await);
    assert_well_formed(&page.replace("src=x", ""));
    assert!(page.contains("&lt;script&gt;alert(1)") && !page.contains('\u{202e}'), "{page}");
    assert!(page.contains("it was rejected by a&amp;b: &lt;b&gt;no&lt;/b&gt;"), "{page}");
}
