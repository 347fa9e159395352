//! `rotation` and `generate` of a Credential.

use std::collections::BTreeSet;

use remint_contract::Strategy;

use super::system::flatten;
use crate::estate::fields::Decoder;
use crate::estate::model::{Generate, Rotation};
use crate::estate::node::Node;

const LEAST_LENGTH: u16 = 16;
const LEAST_ALPHABET: usize = 10;
/// Below this many bits a fingerprint of the value could be searched for.
const LEAST_BITS: f64 = 64.0;

pub(in crate::estate) const STRATEGIES: [(&str, Strategy); 7] = [
    ("overlap", Strategy::Overlap),
    ("alternate", Strategy::Alternate),
    ("in-place", Strategy::InPlace),
    ("reissue", Strategy::Reissue),
    ("ephemeral", Strategy::Ephemeral),
    ("dual-trust", Strategy::DualTrust),
    ("manual", Strategy::Manual),
];

impl Decoder<'_, '_> {
    /// `usual`: the strategy of the class, when none is written.
    pub(super) fn rotation(&mut self, node: &Node, usual: Strategy) -> Option<Rotation> {
        let mut fields = self.fields(node, "rotation")?;
        let strategy = fields.take("strategy").map_or(Some(usual), |node| self.strategy(node));
        let hold = fields.take("overlap").map(|node| self.duration(node, "overlap"));
        let quiet = fields.take("quiet").map(|node| self.duration(node, "quiet"));
        let max_age = fields.take("maxAge").map(|node| self.duration(node, "maxAge"));
        let early = fields.take("earlyStart");
        let early_start = early.map(|node| self.duration(node, "earlyStart"));
        let group = fields.take("group").map(|node| self.text(node, "group").map(ToOwned::to_owned));
        let pair = fields.take("pair").map(|node| self.text(node, "pair").map(ToOwned::to_owned));
        let offset = fields.take("offset").map(|node| self.duration(node, "offset"));
        let outage = fields.take("outage").map(|node| self.duration(node, "outage"));
        let due = fields.take("due");
        let written = fields.take("instructions");
        let instructions = written.map(|node| self.text(node, "instructions").map(ToOwned::to_owned));
        self.finish(fields);
        let rotation = Rotation {
            strategy: strategy?,
            hold: flatten(hold)?,
            quiet: flatten(quiet)?,
            max_age: flatten(max_age)?,
            early_start: flatten(early_start)?,
            group: flatten(group)?,
            pair: flatten(pair)?,
            offset: flatten(offset)?,
            outage: flatten(outage)?,
            instructions: flatten(instructions)?,
            due: flatten(due.map(|node| self.duration(node, "due")))?,
        };
        if let Some(early) = early.filter(|_| rotation.early_start >= rotation.max_age) {
            let hint = "write how much sooner than `maxAge` it may be replaced: `maxAge: 90d, earlyStart: 7d`";
            self.error(early.span, "`earlyStart` is not shorter than `maxAge`", hint);
            return None;
        }
        if let Some(written) = written.filter(|_| rotation.strategy != Strategy::Manual) {
            let hint = "take them out, or write `strategy: manual`";
            self.error(written.span, "`instructions` are for a person, and nobody is asked here", hint);
            return None;
        }
        if let Some(due) = due.filter(|_| rotation.strategy != Strategy::Manual) {
            let hint = "take it out, or write `strategy: manual`";
            self.error(due.span, "`due` is for a person's task, and nobody is asked here", hint);
            return None;
        }
        if rotation.strategy == Strategy::InPlace && rotation.outage.is_none() {
            self.error(
                node.span,
                "the strategy `in-place` leaves every consumer without a working value for a while",
                "say how long that may last, as `outage: 30s`, or take another strategy",
            );
            return None;
        }
        Some(rotation)
    }

    fn strategy(&mut self, node: &Node) -> Option<Strategy> {
        self.word(node, "strategy", &STRATEGIES)
    }

    pub(super) fn generate(&mut self, node: &Node) -> Option<Generate> {
        let mut fields = self.fields(node, "generate")?;
        let length = fields.take("length").map(|node| (node, self.count::<u16>(node, "length")));
        let alphabet = fields.take("alphabet").map(|node| (node, self.text(node, "alphabet")));
        self.finish(fields);
        let mut good = true;
        let default = Generate::default();
        let generate = Generate {
            length: length.map_or(Some(default.length), |read| read.1)?,
            alphabet: alphabet.map_or(Some(default.alphabet.as_str()), |read| read.1)?.to_owned(),
        };
        if let Some((node, _)) = length
            && generate.length < LEAST_LENGTH
        {
            self.error(node.span, format!("`length` is {}", generate.length), "write 16 or more");
            good = false;
        }
        let distinct = generate.alphabet.chars().collect::<BTreeSet<char>>().len();
        if let Some((node, _)) = alphabet {
            if distinct < LEAST_ALPHABET {
                let message = format!("`alphabet` has {distinct} different characters");
                self.error(node.span, message, "give 10 or more");
                good = false;
            } else if !generate.alphabet.bytes().all(|byte| byte.is_ascii_graphic()) {
                self.error(node.span, "`alphabet` has a character that is not printable ASCII", "take it out");
                good = false;
            }
        }
        #[allow(clippy::cast_precision_loss, reason = "an alphabet has at most 94 characters")]
        let bits = (distinct as f64).log2() * f64::from(generate.length);
        if good && bits < LEAST_BITS {
            let message = format!("the value would have {bits:.0} bits of entropy");
            self.error(node.span, message, "give a longer `length` or a larger `alphabet`, for 64 bits or more");
            good = false;
        }
        good.then_some(generate)
    }
}
