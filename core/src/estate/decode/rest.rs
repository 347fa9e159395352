//! `Identity` and `Grant`.

use std::collections::BTreeSet;

use remint_contract::{Kind, Ref};

use super::system::flatten;
use crate::estate::fields::Decoder;
use crate::estate::model::{ClassOfIdentity, Grant, Identity, Meta, Owners, Tier};
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
