//! `RotationWindow`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::system::flatten;
use crate::estate::fields::{Decoder, nearest, shorten};
use crate::estate::model::Meta;
use crate::estate::node::Node;
use crate::estate::window::{Blackout, Missed, RotationWindow};
use crate::schedule::{Schedule, Zone, zones};

/// What is done of a turn is done in minutes; a shorter window would be over before it began.
const SHORTEST: Duration = Duration::from_mins(1);

/// A longer one is not a window.
const LONGEST: Duration = Duration::from_hours(31 * 24);

impl Decoder<'_, '_> {
    pub(super) fn window(&mut self, meta: Meta, spec: &Node) -> Option<RotationWindow> {
        let mut fields = self.fields(spec, "spec")?;
        let cron = self.require(&mut fields, "cron");
        let time_zone = self.require(&mut fields, "timeZone").and_then(|node| self.zone(node));
        let cron = cron.and_then(|node| self.cron(node, time_zone.as_ref()));
        let duration = self.require(&mut fields, "duration").and_then(|node| {
            let duration = self.duration(node, "duration")?;
            if (SHORTEST..=LONGEST).contains(&duration) {
                return Some(duration);
            }
            self.error(node.span, "`duration` is not a time that a window can be open", "write 1m to 31d");
            None
        });
        let select = fields.take("select").map_or_else(|| Some(BTreeMap::new()), |node| self.select(node));
        let blackout = self.each(fields.take("blackout"), "blackout", |decoder, node| decoder.blackout(node));
        let jitter = fields.take("jitter").map(|node| {
            let jitter = self.duration(node, "jitter")?;
            if duration.is_none_or(|duration| jitter <= duration) {
                return Some(jitter);
            }
            self.error(node.span, "`jitter` is longer than the window", "write at most the `duration`");
            None
        });
        let missed = fields.take("missed").map_or(Some(Missed::default()), |node| {
            self.word(node, "missed", &[("skip", Missed::Skip), ("catch-up", Missed::CatchUp)])
        });
        let manual_only = fields.take("manualOnly").map_or(Some(false), |node| self.truth(node, "manualOnly"));
        self.finish(fields);
        Some(RotationWindow {
            meta,
            cron: cron?,
            time_zone: time_zone?.name().to_owned(),
            duration: duration?,
            select: select?,
            blackout: blackout?,
            jitter: flatten(jitter)?,
            missed: missed?,
            manual_only: manual_only?,
        })
    }

    fn zone(&mut self, node: &Node) -> Option<Zone> {
        let text = self.text(node, "timeZone")?;
        let zone = Zone::named(text);
        if let Err(error) = &zone {
            let hint = match nearest(text, zones()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "write the name of a place, as Europe/Berlin, or UTC".to_owned(),
            };
            self.error(node.span, format!("`timeZone`: {error}"), hint);
        }
        zone.ok()
    }

    /// Read in whatever zone, where the one that is written is none: both mistakes are told at once.
    fn cron(&mut self, node: &Node, zone: Option<&Zone>) -> Option<String> {
        let text = self.text(node, "cron")?;
        let zone = zone.cloned().or_else(|| Zone::named("UTC").ok())?;
        match Schedule::new(text, zone) {
            Ok(_) => Some(text.to_owned()),
            Err(error) => {
                self.error(node.span, format!("`cron`: {error}"), error.hint);
                None
            }
        }
    }

    fn blackout(&mut self, node: &Node) -> Option<Blackout> {
        let text = self.text(node, "blackout")?;
        let dates = text.parse::<Blackout>();
        if dates.is_err() {
            let hint = "write a date in quotes, or the first and the last: \"2026-12-24..2027-01-01\"";
            self.error(node.span, format!("`blackout`: `{}` is not a date", shorten(text)), hint);
        }
        dates.ok()
    }

    fn select(&mut self, node: &Node) -> Option<BTreeMap<String, String>> {
        let fields = self.fields(node, "select")?;
        let pairs: Vec<Option<(String, String)>> = fields
            .rest()
            .map(|(key, value)| self.text(value, "select").map(|text| (key.text.clone(), text.to_owned())))
            .collect();
        pairs.into_iter().collect()
    }
}
