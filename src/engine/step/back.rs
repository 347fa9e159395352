//! Back: readers see the old value again where the new one was delivered, and consumers are seen to use it. The new version
//! is killed when it was never sent to any place; else it lives until somebody goes forward, because a write that was given
//! up may land late, and whoever reads that has to have a value that works.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use remint_contract::{Material, Ref};
use remint_core::machine::{Done, Version};

use crate::engine::effect::{Stop, Task};
use crate::engine::run::Run;
use crate::engine::step::confirm::{restart, seen_on, shown};
use crate::engine::step::deliver::show_all;
use crate::engine::step::mint::{kill_new, park};
use crate::engine::step::render::rendered;

/// The values of these versions; `None` unless all of them are in escrow.
async fn known(run: &Run, versions: &[Version]) -> Result<Option<Vec<Material>>, Stop> {
    let mut all = Vec::with_capacity(versions.len());
    for version in versions {
        match run.material(version).await? {
            Some(material) => all.push(material),
            None => return Ok(None),
        }
    }
    Ok(Some(all))
}

/// Brings everything back to `old`, and kills what was given up unless it was sent somewhere. May be done again from
/// anywhere.
pub(crate) async fn back(task: &mut Task, old: &Version, given_up: &[Version], sent: bool) -> Result<(), Stop> {
    let run = Arc::clone(&task.run);
    let member = task.member().clone();
    let material = run.material(old).await?;
    let untouched = match &material {
        Some(_) => None,
        None => known(&run, given_up).await?,
    };
    let mut others = Vec::new();
    for place in run.places(&member) {
        let lies = run.host.read(&place).await;
        let same = |lies: &Material| match (&material, &untouched) {
            (Some(old), _) => lies.secret == old.secret,
            // The old value could not be read when it was to be kept: what is none of those given up was never replaced.
            (None, Some(given_up)) => given_up.iter().all(|other| lies.secret != other.secret),
            (None, None) => false,
        };
        if !lies.as_ref().is_ok_and(same) {
            others.push(place);
        }
    }
    let delivered = !others.is_empty() || !task.facts.delivered.is_empty();
    if !others.is_empty() {
        let old = material.ok_or_else(|| park("the old value is not in escrow, so it cannot be put back"))?;
        show_all(task, rendered(&others, &old)?).await?;
    }
    // From here on the old version is the one to be seen, and the other one what it is seen instead of.
    (task.facts.new, task.facts.old) = (Some(old.clone()), given_up.last().cloned());
    let consumers = run.consumers(&member);
    if delivered {
        shown(&run, others.iter().map(|place| &place.at)).await?;
        restart(task, consumers.clone()).await?;
    }
    // Nobody can be seen on a value that nobody here knows, and nobody was taken off it.
    if delivered || untouched.is_none() {
        let Done::Confirmed { consumers: seen } = seen_on(task, old, Duration::ZERO).await? else { return Ok(()) };
        let missing: BTreeSet<Ref> = consumers.into_iter().filter(|consumer| !seen.contains_key(consumer)).collect();
        if !missing.is_empty() {
            let missing = crate::engine::names(&missing);
            return Err(park(&format!("not seen on the old version again: {missing}; the new one lives, too")));
        }
    }
    for version in given_up.iter().filter(|_| !sent) {
        kill_new(task, version).await?;
    }
    task.close_rest();
    task.flush().await
}
