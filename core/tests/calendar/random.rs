//! Random looks at random windows: nothing is lost, and nothing comes twice.

use std::collections::BTreeSet;

use jiff::{Span, Timestamp};
use proptest::prelude::*;

use super::{at, estate, window};

const CRONS: [&str; 6] = ["0 2 * * *", "30 2 * * 0", "*/30 * * * *", "0 */6 * * *", "0 1,13 * * *", "15 2 1,15 * 1"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn every_opening_is_opened_once_or_counted_as_missed_once(
        cron in 0..CRONS.len(),
        catch_up in any::<bool>(),
        minutes in 5..180_u32,
        jitter in 0..5_u32,
        looks in prop::collection::vec(1..3000_i64, 1..60),
    ) {
        let spec = format!(
            "{{cron: \"{}\", timeZone: Europe/Berlin, duration: {minutes}m, jitter: {jitter}m, missed: {}}}",
            CRONS[cron],
            if catch_up { "catch-up" } else { "skip" },
        );
        let window = window(&estate(&spec, &[]));
        // Over the change of the clock in March.
        let begins = at("2026-03-20T00:00:00Z");
        let (mut since, mut now) = (begins, begins);
        let (mut opened, mut missed) = (BTreeSet::new(), 0);
        let mut closes = Timestamp::MIN;
        for wait in looks {
            now += Span::new().minutes(wait);
            let due = window.due(since, now);
            if let Some(opening) = due.open {
                prop_assert!(opened.insert(opening.scheduled), "twice: {opening:?}");
                prop_assert!(opening.opens <= now && now < opening.closes);
                prop_assert!(closes <= now, "two at a time");
                closes = opening.closes;
            }
            missed += due.missed;
            prop_assert!(due.seen >= since);
            since = due.seen;
        }
        let mut scheduled = 0;
        let mut after = begins;
        while let Some(next) = window.next(after).filter(|next| next.scheduled <= since) {
            scheduled += 1;
            after = next.scheduled;
        }
        prop_assert_eq!(u64::try_from(opened.len()).unwrap() + missed, scheduled);
    }
}
