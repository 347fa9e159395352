//! Activate: from here on the new version signs or encrypts, and the old one only verifies or decrypts.

use std::sync::Arc;

use remint_contract::Verb;
use remint_core::machine::Done;
use remint_core::step::{Course, Path, Step};

use crate::engine::effect::{Effect, Stop, Task};
use crate::engine::step::mint::{park, still_good};

/// Makes the new version the issuer's own first one. An issuer that has no such word uses a version when it is delivered,
/// or as soon as it is made; there this step does nothing.
pub(super) async fn activate(task: &mut Task) -> Result<Done, Stop> {
    let run = Arc::clone(&task.run);
    let document = run.document(&task.credential())?;
    let system = &document.issued_by.system;
    if !run.host.connector(system)?.describe().verbs.contains(&Verb::Promote) {
        return Ok(Done::Plain { step: Step::Activate });
    }
    if task.member().path == Path::Cut && task.member().course() == Course::Trust {
        // Nobody has it yet, and somebody may have stopped it while the old values of its unit died.
        still_good(task).await?;
    }
    let id = task.facts.new.as_ref().and_then(|new| new.id.clone());
    let id = id.ok_or_else(|| park("there is no new version to activate"))?;
    let effect = Effect {
        system,
        verb: Verb::Promote,
        about: id.0.clone(),
        version: Some(&id),
        actor: run.manager(document).await?,
        seal: None,
    };
    let target = &document.issued_by.target.name;
    task.effect(effect, |connector, call| {
        let (target, id) = (target.clone(), id.clone());
        async move { connector.promote(&call, &target, &id.0).await }
    })
    .await?;
    Ok(Done::Plain { step: Step::Activate })
}
