//! Runs a plan in a random legal order and names the first thing that does not hold.

use remint_core::estate::Estate;
use remint_core::plan::{Plan, Request};
use remint_core::step::Step;

use super::hands::Hands;
use super::model::{State, Value, World};
use super::random::Dice;

/// What does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The attacker ends with something alive.
    Survives(String),
    /// A clean consumer was without a working value, outside a cut and outside what is contained.
    Outage(String),
    /// Remint needed a login that it had no working value of.
    LockedOut(String),
    /// A step never became legal.
    Stuck(String),
    /// The end is not what was promised: a place with an old value, a new value that does not work.
    Unfinished(String),
    /// Exposed although there was no deadline.
    Exposed(String),
}

/// # Errors
/// The first thing that does not hold.
pub fn run(estate: &Estate, plan: &Plan, request: &Request, dice: &mut Dice) -> Result<(), Fault> {
    let hands = Hands::of(estate);
    let mut world = World::new(estate, &hands, plan, request);
    loop {
        let legal: Vec<usize> = (0..plan.members.len()).filter(|&member| world.is_legal(member)).collect();
        if legal.is_empty() || dice.chance(2) {
            let Some(node) = world.footholds.iter().nth(dice.below(world.footholds.len())).cloned() else {
                if legal.is_empty() {
                    break;
                }
                continue;
            };
            world.footholds.remove(&node);
        } else {
            let member = legal[dice.below(legal.len())];
            let step = world.next_step(member);
            let acts = matches!(step, Some(Step::Mint | Step::Disable | Step::Revoke | Step::Sweep | Step::FinalSweep));
            if acts && !world.can_act(member) {
                return Err(Fault::LockedOut(format!("{step:?} of {}", plan.members[member].credential)));
            }
            world.act(member);
        }
        world.write_rest();
        world.attack();
        if let Some(outage) = world.outage() {
            return Err(Fault::Outage(outage));
        }
    }
    end(estate, plan, request, &world)
}

fn end(estate: &Estate, plan: &Plan, request: &Request, world: &World<'_>) -> Result<(), Fault> {
    let exposed = plan.members.iter().find(|member| member.exposed_by.is_some());
    if let Some(member) = exposed.filter(|_| request.deadline.is_none()) {
        return Err(Fault::Exposed(member.credential.to_string()));
    }
    if let Some(index) = (0..plan.members.len()).find(|&index| world.next_step(index).is_some()) {
        let member = &plan.members[index];
        return Err(Fault::Stuck(format!("{} at {:?}", member.credential, world.next_step(index))));
    }
    let his = world.state.iter().position(State::in_his_hands);
    if let Some(his) = his.filter(|_| exposed.is_none()) {
        return Err(Fault::Survives(format!("{}: {:?}", world.hands.credentials[his], world.state[his])));
    }
    for (member, &own) in plan.members.iter().zip(&world.credential) {
        if !world.state[own].works(Value::New) && exposed.is_none() {
            return Err(Fault::Unfinished(format!("the new value of {} does not work", member.credential)));
        }
        for place in estate.credentials[&member.credential].delivered_to.iter().map(|d| d.at.whole()) {
            if world.holds[world.hands.place_number[&place]] != Value::New {
                return Err(Fault::Unfinished(format!("{place} still has the old value")));
            }
        }
    }
    Ok(())
}
