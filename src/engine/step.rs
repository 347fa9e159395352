//! The steps of a rotation, each a function from a [`Task`] to what it established.

use remint_contract::Verb;
use remint_core::machine::Done;
use remint_core::step::Step;

use crate::engine::effect::{Stop, Task};
use crate::engine::quiet;

mod activate;
mod also;
mod back;
mod capture;
mod confirm;
mod deliver;
mod drain;
mod kill;
mod lease;
mod manual;
mod mint;
mod prove;
mod quota;
mod render;
mod replaced;
mod rewrap;
mod sweep;
mod trust;

pub(crate) use back::back;
pub use confirm::{restart, shown};
pub use deliver::held_back;
pub use manual::task_id;
pub use mint::own_switch;
pub(crate) use mint::resolve;
pub use prove::{Tried, is_stopped, try_old};
pub(crate) use replaced::left as left_by;
pub use rewrap::left;
pub(crate) use sweep::arrivals;
pub use sweep::finding_id;

/// Does one step.
///
/// Flow: what is open of an earlier try is resolved first, then the step does what is left. Doing a step twice does
/// no harm.
pub async fn perform(task: &mut Task, step: Step) -> Result<Done, Stop> {
    mint::resolve(task).await?;
    if !task.facts.also.is_empty() {
        match step {
            Step::Disable | Step::Revoke => also::kill(task, Verb::Revoke).await?,
            Step::EndDerived => also::kill(task, Verb::EndDerived).await?,
            Step::Prove | Step::FinalProve => also::prove(task).await?,
            _ => {}
        }
    }
    match step {
        Step::Capture => capture::capture(task).await,
        Step::Mint => mint::mint(task).await,
        Step::Verify => mint::verify(task).await,
        Step::Deliver => deliver::deliver(task).await,
        Step::Promote => deliver::promote(task).await,
        Step::Reload => confirm::reload(task).await,
        Step::Confirm => confirm::confirm(task).await,
        Step::Hold => quiet::hold(task).await,
        Step::Disable => kill::disable(task).await,
        Step::Revoke => kill::revoke(task).await,
        Step::EndDerived => kill::end_derived(task).await,
        Step::Prove | Step::FinalProve => prove::prove(task).await,
        Step::Publish => trust::publish(task).await,
        Step::Propagate => trust::propagate(task).await,
        Step::Activate => activate::activate(task).await,
        Step::Drain => drain::drain(task).await,
        Step::Rewrap => rewrap::rewrap(task).await,
        Step::Sweep | Step::FinalSweep => sweep::sweep(task, step).await,
    }
}
