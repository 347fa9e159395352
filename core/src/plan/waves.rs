//! Waves: members in the order of their earliest start. Who waits for another is never in an earlier wave; members that
//! wait for one another in turns (a parent and its children, a cut) share one.
//!
//! A wave ends where it is large enough, not where a layer does: inside it the precedences hold members back, and a wave
//! a layer would wait for the last member of each.

use std::collections::BTreeMap;

use crate::estate::{Estate, Tier, UnlockVerb};
use crate::graph::{Csr, components};

use super::draft::Draft;
use super::{Precedence, Request};

/// Canary first, then growing; low tiers and small ones before others of the same layer.
pub(super) fn waves(estate: &Estate, draft: &Draft, precedences: &[Precedence], request: &Request) -> Vec<Vec<usize>> {
    let count = u32::try_from(draft.members.len()).unwrap_or(u32::MAX);
    let number = |member: usize| u32::try_from(member).unwrap_or(u32::MAX);
    let edges = precedences.iter().filter(|edge| edge.before.0 != edge.after.0);
    let graph =
        Csr::new(count, edges.map(|edge| (number(edge.before.0), number(edge.after.0), UnlockVerb::Use)).collect());
    let mut unit_of = vec![0_usize; draft.members.len()];
    let mut units = components(&graph);
    units.reverse();
    for (unit, members) in units.iter().enumerate() {
        for &member in members {
            unit_of[member as usize] = unit;
        }
    }
    // Units are in topological order now, so one pass gives the longest path.
    let mut layer = vec![0_usize; units.len()];
    for (unit, members) in units.iter().enumerate() {
        for target in members.iter().flat_map(|&member| graph.targets(member)) {
            let below = unit_of[*target as usize];
            if below != unit {
                layer[below] = layer[below].max(layer[unit] + 1);
            }
        }
    }
    let mut layers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (unit, &layer) in layer.iter().enumerate() {
        layers.entry(layer).or_default().push(unit);
    }
    let weight = |unit: &usize| {
        let privileged = units[*unit].iter().any(|&member| is_privileged(estate, draft, member as usize));
        let consumers: usize = units[*unit].iter().map(|&member| draft.members[member as usize].consumers.len()).sum();
        (privileged, units[*unit].len(), consumers, units[*unit][0])
    };
    let mut waves = Vec::new();
    let mut wave: Vec<usize> = Vec::new();
    let mut allowed = request.canary.max(1);
    for (_, mut layer) in layers {
        layer.sort_by_cached_key(weight);
        for unit in layer {
            if !wave.is_empty() && wave.len() + units[unit].len() > allowed {
                allowed = allowed.saturating_mul(request.growth.max(1));
                waves.push(std::mem::take(&mut wave));
            }
            wave.extend(units[unit].iter().map(|&member| member as usize));
        }
    }
    if !wave.is_empty() {
        waves.push(wave);
    }
    waves
}

fn is_privileged(estate: &Estate, draft: &Draft, member: usize) -> bool {
    estate.identities.get(&draft.documents[member].identity).is_some_and(|identity| identity.tier == Tier::Privileged)
}
