//! `Identity`, `RotationWindow` and `Grant`.

use std::collections::{BTreeMap, BTreeSet};

use remint_contract::{Kind, Ref};

use super::system::flatten;
use crate::estate::fields::Decoder;
use crate::estate::model::{ClassOfIdentity, Grant, Identity, Meta, Owners, RotationWindow, Tier};
use crate::estate::node::Node;

impl Decoder<'_, '_> {
    pub(super) fn identity(&mut self, meta: Meta, spec: &Node) -> Option<Identity> {
        let mut fields = self.fields(spec, "spec")?;
        let class = self.require(&mut fields, "class").and_then(|node| {
            self.word(
                node,
                "class",
                &[
                    ("workload", ClassOfIdentity::Workload),
                    ("machine", ClassOfIdentity::Machine),
                    ("agent", ClassOfIdentity::Agent),
                    ("human", ClassOfIdentity::Human),
                    ("emergency", ClassOfIdentity::Emergency),
                ],
            )
        });
        let tier = fields.take("tier").map_or(Some(Tier::Standard), |node| {
            self.word(node, "tier", &[("standard", Tier::Standard), ("privileged", Tier::Privileged)])
        });
        let environment = fields.take("environment").map(|node| self.text(node, "environment").map(ToOwned::to_owned));
        let owners = fields.take("owners").map_or(Some(Owners::default()), |node| self.owners(node));
        self.finish(fields);
        Some(Identity { meta, class: class?, tier: tier?, environment: flatten(environment)?, owners: owners? })
    }

    fn owners(&mut self, node: &Node) -> Option<Owners> {
        let mut fields = self.fields(node, "owners")?;
        let policy = fields.take("policy").map(|node| self.text(node, "policy").map(ToOwned::to_owned));
        let execution = fields.take("execution").map(|node| self.text(node, "execution").map(ToOwned::to_owned));
        let business = fields.take("business").map(|node| self.text(node, "business").map(ToOwned::to_owned));
        self.finish(fields);
        Some(Owners { policy: flatten(policy)?, execution: flatten(execution)?, business: flatten(business)? })
    }

    pub(super) fn window(&mut self, meta: Meta, spec: &Node) -> Option<RotationWindow> {
        let mut fields = self.fields(spec, "spec")?;
        let cron = self.require(&mut fields, "cron").and_then(|node| {
            let text = self.text(node, "cron")?;
            if text.split_whitespace().count() == 5 {
                return Some(text);
            }
            self.error(
                node.span,
                "`cron` does not have five fields",
                "write minute, hour, day, month and week day: \"0 2 * * 0\"",
            );
            None
        });
        let time_zone = self.require(&mut fields, "timeZone").and_then(|node| self.text(node, "timeZone"));
        let duration = self.require(&mut fields, "duration").and_then(|node| self.duration(node, "duration"));
        let select = fields.take("select").map_or_else(|| Some(BTreeMap::new()), |node| self.select(node));
        let blackout = self.each(fields.take("blackout"), "blackout", |decoder, node| {
            decoder.text(node, "blackout").map(ToOwned::to_owned)
        });
        self.finish(fields);
        Some(RotationWindow {
            meta,
            cron: cron?.to_owned(),
            time_zone: time_zone?.to_owned(),
            duration: duration?,
            select: select?,
            blackout: blackout?,
        })
    }

    fn select(&mut self, node: &Node) -> Option<BTreeMap<String, String>> {
        let fields = self.fields(node, "select")?;
        let pairs: Vec<Option<(String, String)>> = fields
            .rest()
            .map(|(key, value)| self.text(value, "select").map(|text| (key.text.clone(), text.to_owned())))
            .collect();
        pairs.into_iter().collect()
    }

    /// `{from: namespace, to: [Kind/name]}`: what documents of `from` may refer to in this Grant's namespace.
    pub(super) fn grant(&mut self, meta: Meta, spec: &Node) -> Option<Grant> {
        const ALL: [Kind; 4] = [Kind::System, Kind::Identity, Kind::Credential, Kind::Workload];
        let mut fields = self.fields(spec, "spec")?;
        let from_namespace = self.require(&mut fields, "from").and_then(|node| self.name(node, "from"));
        let to = self.each(fields.take("to"), "to", |decoder, node| {
            let to = decoder.any_reference(node, "to", &ALL)?;
            if to.namespace == decoder.subject.namespace {
                return Some(to);
            }
            let message = format!("{to} is not in the Grant's namespace, {}", decoder.subject.namespace);
            decoder.error(node.span, message, "a Grant gives only what is in its own namespace: put it there");
            None
        });
        self.finish(fields);
        Some(Grant { meta, from_namespace: from_namespace?, to: to?.into_iter().collect::<BTreeSet<Ref>>() })
    }
}
