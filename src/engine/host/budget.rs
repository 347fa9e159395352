//! A budget as all replicas share it: one record, with a slice for each that makes calls. Pure: who should have how much,
//! and what is free now.
//!
//! Guarantee: a holder that takes no more than [`Shared::fair`] and [`Shared::free`] allow, and writes its slice by
//! compare-and-set before it uses it, leaves the sum over all slices within the whole.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::circuit::Open;

/// What is known of one budget by everybody.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Shared {
    #[serde(default)]
    pub(super) slices: BTreeMap<String, Slice>,
    /// The system asked for quiet until then.
    #[serde(default)]
    pub(super) quiet: Option<Timestamp>,
    #[serde(default)]
    pub(super) circuit: Option<Open>,
}

/// What one holder has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Slice {
    /// Calls at a time; may be none while others have to finish first.
    pub(super) slots: u32,
    /// Calls per second; zero where the whole has no limit.
    pub(super) rate: u32,
    /// How many calls it would make at a time, and the least that is of use to it.
    pub(super) wants: u32,
    pub(super) least: u32,
    /// Since when it waits its turn.
    pub(super) since: Timestamp,
    /// It comes back after this.
    pub(super) until: Timestamp,
}

/// All there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Whole {
    pub(super) slots: u32,
    pub(super) per_second: Option<u32>,
}

/// Calls at a time, and calls per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Part {
    pub(super) slots: u32,
    pub(super) rate: u32,
}

impl Shared {
    /// Takes back what belonged to holders that are gone.
    pub(super) fn reclaim(&mut self, now: Timestamp) {
        self.slices.retain(|_, slice| now <= slice.until + SKEW);
    }

    /// What a holder should have: the first in line, as many as there is something for, by what each wants; alone, all.
    /// Zero for whoever has to wait a turn.
    #[must_use]
    pub(super) fn fair(&self, whole: Whole, holder: &str) -> Part {
        let seated = self.seated(whole);
        if !seated.iter().any(|(name, _)| *name == holder) {
            return Part::default();
        }
        let count = u32::try_from(seated.len()).unwrap_or(u32::MAX);
        let slots = filled(whole.slots, &seated, holder);
        let rate = whole.per_second.map_or(0, |rate| {
            if count == 1 {
                return rate;
            }
            let rest = u64::from(rate.saturating_sub(count)) * u64::from(slots) / u64::from(whole.slots.max(1));
            1 + u32::try_from(rest).unwrap_or(u32::MAX)
        });
        Part { slots, rate }
    }

    /// What nobody else has.
    #[must_use]
    pub(super) fn free(&self, whole: Whole, holder: &str) -> Part {
        let others = || self.slices.iter().filter(|(name, _)| *name != holder).map(|(_, slice)| slice);
        let slots = whole.slots.saturating_sub(others().map(|slice| slice.slots).sum());
        let rate = whole.per_second.unwrap_or(0).saturating_sub(others().map(|slice| slice.rate).sum());
        Part { slots, rate }
    }

    /// True when somebody waits for a turn, and this holder has had its own.
    #[must_use]
    pub(super) fn turn_over(&self, whole: Whole, holder: &str, now: Timestamp) -> bool {
        let seated = self.seated(whole);
        let waiting = self.slices.values().filter(|slice| slice.wants > 0).count() > seated.len();
        waiting && seated.iter().any(|(name, slice)| *name == holder && now >= slice.since + TURN)
    }

    /// Who has a turn now, longest in line first.
    fn seated(&self, whole: Whole) -> Vec<(&str, &Slice)> {
        let mut line: Vec<(&str, &Slice)> = self
            .slices
            .iter()
            .filter(|(_, slice)| slice.wants > 0)
            .map(|(name, slice)| (name.as_str(), slice))
            .collect();
        line.sort_by_key(|(name, slice)| (slice.since, *name));
        let mut left = whole.slots;
        let mut seats = whole.per_second.unwrap_or(u32::MAX);
        line.retain(|(_, slice)| {
            let least = slice.least.clamp(1, whole.slots);
            let seated = least <= left && seats > 0;
            if seated {
                left -= least;
                seats -= 1;
            }
            seated
        });
        line
    }
}

/// The share of one: everybody's least first, then evenly up to what each wants, then what is left evenly.
fn filled(whole: u32, seated: &[(&str, &Slice)], holder: &str) -> u32 {
    let least = |slice: &Slice| slice.least.clamp(1, whole);
    let mut shares: Vec<u32> = seated.iter().map(|(_, slice)| least(slice)).collect();
    let mut left = whole.saturating_sub(shares.iter().sum());
    while left > 0 {
        let open: Vec<usize> = (0..seated.len()).filter(|&at| shares[at] < seated[at].1.wants).collect();
        let among: Vec<usize> = if open.is_empty() { (0..seated.len()).collect() } else { open.clone() };
        let count = u32::try_from(among.len()).unwrap_or(u32::MAX).max(1);
        let each = (left / count).max(1);
        for at in among {
            let room = if open.is_empty() { left } else { seated[at].1.wants - shares[at] };
            let more = each.min(room).min(left);
            shares[at] += more;
            left -= more;
        }
    }
    seated.iter().position(|(name, _)| *name == holder).map_or(0, |at| shares[at])
}

/// Clocks of two replicas may differ by this much.
const SKEW: Duration = Duration::from_secs(2);
/// How long a holder keeps its turn while another waits for one.
const TURN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn slice(wants: u32, since: i64) -> Slice {
        Slice { slots: 0, rate: 0, wants, least: 1, since: at(since), until: at(60) }
    }

    fn shared(slices: &[(&str, Slice)]) -> Shared {
        let slices = slices.iter().map(|(name, slice)| ((*name).to_owned(), *slice)).collect();
        Shared { slices, ..Shared::default() }
    }

    #[test]
    fn one_holder_has_all_of_it_whatever_it_wants() {
        let whole = Whole { slots: 64, per_second: Some(50) };
        let shared = shared(&[("a", slice(1, 0))]);
        assert_eq!(shared.fair(whole, "a"), Part { slots: 64, rate: 50 });
    }

    #[test]
    fn two_holders_share_by_what_they_want() {
        let whole = Whole { slots: 8, per_second: Some(10) };
        let even = shared(&[("a", slice(100, 0)), ("b", slice(100, 1))]);
        assert_eq!(
            (even.fair(whole, "a"), even.fair(whole, "b")),
            (Part { slots: 4, rate: 5 }, Part { slots: 4, rate: 5 })
        );
        let uneven = shared(&[("a", slice(100, 0)), ("b", slice(1, 1))]);
        assert_eq!((uneven.fair(whole, "a").slots, uneven.fair(whole, "b").slots), (7, 1));
    }

    #[test]
    fn a_budget_of_one_goes_round_in_turns() {
        let whole = Whole { slots: 1, per_second: None };
        let shared = shared(&[("a", slice(5, 0)), ("b", slice(5, 1))]);
        assert_eq!((shared.fair(whole, "a").slots, shared.fair(whole, "b").slots), (1, 0));
        assert!(!shared.turn_over(whole, "a", at(1)));
        assert!(shared.turn_over(whole, "a", at(5)) && !shared.turn_over(whole, "b", at(9)));
    }

    #[test]
    fn what_needs_several_at_once_gets_them_or_waits_its_turn() {
        let whole = Whole { slots: 3, per_second: None };
        let pair = Slice { least: 2, ..slice(2, 0) };
        let shared = shared(&[("a", pair), ("b", Slice { since: at(1), ..pair })]);
        assert_eq!((shared.fair(whole, "a").slots, shared.fair(whole, "b").slots), (3, 0));
    }

    #[test]
    fn a_slice_comes_back_after_its_lease() {
        let mut shared = shared(&[("gone", Slice { slots: 8, until: at(10), ..slice(8, 0) })]);
        let whole = Whole { slots: 8, per_second: None };
        shared.reclaim(at(10));
        assert_eq!(shared.free(whole, "a").slots, 0, "within its lease, and what clocks may differ by");
        shared.reclaim(at(13));
        assert_eq!(shared.free(whole, "a").slots, 8);
    }

    proptest! {
        #[test]
        fn fair_shares_never_exceed_the_whole(
            slots in 1_u32..70, per_second in proptest::option::of(1_u32..100),
            holders in proptest::collection::vec((0_u32..90, 1_u32..5, 0_i64..9), 1..9),
        ) {
            let whole = Whole { slots, per_second };
            let mut all = Shared::default();
            for (number, (wants, least, since)) in holders.into_iter().enumerate() {
                all.slices.insert(format!("h{number}"), Slice { least, ..slice(wants, since) });
            }
            let parts: Vec<Part> = all.slices.keys().map(|name| all.fair(whole, name)).collect();
            prop_assert!(parts.iter().map(|part| part.slots).sum::<u32>() <= slots);
            if let Some(rate) = per_second {
                prop_assert!(parts.iter().map(|part| part.rate).sum::<u32>() <= rate);
                prop_assert!(parts.iter().all(|part| (part.slots > 0) == (part.rate > 0)));
            }
            let wanted = all.slices.values().any(|slice| slice.wants > 0);
            prop_assert_eq!(wanted, parts.iter().any(|part| part.slots > 0), "nobody gets anything");
        }
    }
}
