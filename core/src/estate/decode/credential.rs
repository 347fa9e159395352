//! `Credential`: who issues it, where it lies, who reads it, what it opens.

use std::collections::{BTreeMap, BTreeSet};

use remint_contract::{Kind, Ref, Strategy, Target, Template, WHOLE};

use super::system::flatten;
use crate::estate::fields::Decoder;
use crate::estate::model::{
    Begets, Credential, CredentialClass, Destination, Generate, IssuedBy, Meta, Rotation, Unlock, UnlockVerb,
    UnlockWhat,
};
use crate::estate::node::{Node, Value};

impl Decoder<'_, '_> {
    pub(super) fn credential(&mut self, meta: Meta, spec: &Node) -> Option<Credential> {
        let mut fields = self.fields(spec, "spec")?;
        let class = fields.take("class").map_or(Some(CredentialClass::Authenticator), |node| self.class(node));
        let kind = self.require(&mut fields, "type").and_then(|node| self.text(node, "type"));
        let identity =
            self.require(&mut fields, "identity").and_then(|node| self.reference(node, "identity", Kind::Identity));
        let issued_by = self.require(&mut fields, "issuedBy").and_then(|node| self.issued_by(node));
        let delivered_to = self.each(fields.take("deliveredTo"), "deliveredTo", Self::destination);
        let consumed_by = self.each(fields.take("consumedBy"), "consumedBy", |decoder, node| {
            decoder.reference(node, "consumedBy", Kind::Workload)
        });
        let trusted_by =
            self.each(fields.take("trustedBy"), "trustedBy", |decoder, node| decoder.location(node, "trustedBy"));
        let verified_by = self.each(fields.take("verifiedBy"), "verifiedBy", |decoder, node| {
            decoder.reference(node, "verifiedBy", Kind::Workload)
        });
        let unlocks = self.each(fields.take("unlocks"), "unlocks", Self::unlock);
        let begets = fields.take("begets").map_or(Some(Begets::default()), |node| self.begets(node));
        let generate = fields.take("generate").map_or(Some(Generate::default()), |node| self.generate(node));
        // A signing key has one way only; everything else lives beside its successor for a while.
        let pair = class == Some(CredentialClass::VerifierPair);
        let usual = if pair { Strategy::DualTrust } else { Strategy::Overlap };
        let rotation = fields.take("rotation").map_or_else(
            || Some(Rotation { strategy: usual, ..Rotation::default() }),
            |node| self.rotation(node, usual),
        );
        self.finish(fields);
        Some(Credential {
            meta,
            class: class?,
            kind: kind?.to_owned(),
            identity: identity?,
            issued_by: issued_by?,
            delivered_to: delivered_to?,
            consumed_by: consumed_by?.into_iter().collect::<BTreeSet<Ref>>(),
            trusted_by: trusted_by?,
            verified_by: verified_by?.into_iter().collect(),
            unlocks: unlocks?,
            begets: begets?,
            generate: generate?,
            rotation: rotation?,
            ghost: false,
        })
    }

    /// Reads every item of a list; `None` when one of them cannot be read.
    pub(super) fn each<T>(
        &mut self,
        node: Option<&Node>,
        what: &'static str,
        mut read: impl FnMut(&mut Self, &Node) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Some(node) = node else { return Some(Vec::new()) };
        let is_list = matches!(node.value, Value::List(_));
        let items: Vec<Option<T>> = self.list(node, what).iter().map(|item| read(self, item)).collect();
        items.into_iter().collect::<Option<Vec<T>>>().filter(|_| is_list)
    }

    fn class(&mut self, node: &Node) -> Option<CredentialClass> {
        self.word(
            node,
            "class",
            &[
                ("authenticator", CredentialClass::Authenticator),
                ("verifier-pair", CredentialClass::VerifierPair),
                ("encryption", CredentialClass::Encryption),
            ],
        )
    }

    fn issued_by(&mut self, node: &Node) -> Option<IssuedBy> {
        let mut fields = self.fields(node, "issuedBy")?;
        let system = self.require(&mut fields, "system").and_then(|node| self.reference(node, "system", Kind::System));
        let target = self.require(&mut fields, "target").and_then(|node| self.text(node, "target"));
        let by = fields.take("by").map(|node| self.reference(node, "by", Kind::Credential));
        let dies = fields.take("diesWithIssuer").map_or(Some(false), |node| self.truth(node, "diesWithIssuer"));
        let settings: serde_json::Map<String, serde_json::Value> =
            fields.rest().map(|(key, value)| (key.text.clone(), value.json())).collect();
        let settings = if settings.is_empty() { serde_json::Value::Null } else { settings.into() };
        Some(IssuedBy {
            system: system?,
            target: Target { name: target?.to_owned(), settings },
            by: flatten(by)?,
            dies_with_issuer: dies?,
        })
    }

    /// `{at: "system:path#field"}`, or `{at: "system:path", fields: {KEY: "template"}}`. Without any field the value is
    /// the whole path, which stores know as the field [`WHOLE`].
    fn destination(&mut self, node: &Node) -> Option<Destination> {
        let mut fields = self.fields(node, "deliveredTo")?;
        let at = self.require(&mut fields, "at");
        let location = at.and_then(|node| self.location(node, "at"));
        let templates = fields.take("fields");
        let source = fields.take("source").map_or(Some(false), |node| self.truth(node, "source"));
        self.finish(fields);
        let templates = templates.map(|node| (node, self.templates(node)));
        let location = location?;
        let written = match (&location.field, templates) {
            (Some(_), Some((node, _))) => {
                self.error(node.span, "the field is given twice, in `at` and in `fields`", "take `#…` out of `at`");
                return None;
            }
            (None, Some((_, templates))) => templates?,
            (field, None) => {
                let field = field.clone().unwrap_or_else(|| WHOLE.to_owned());
                BTreeMap::from([(field, Template::secret())])
            }
        };
        Some(Destination { at: location.whole(), fields: written, source: source? })
    }

    fn templates(&mut self, node: &Node) -> Option<BTreeMap<String, Template>> {
        let fields = self.fields(node, "fields")?;
        let mut templates = BTreeMap::new();
        let mut good = true;
        for (key, value) in fields.rest() {
            match self.text(value, "fields").map(Template::parse) {
                Some(Ok(template)) => {
                    templates.insert(key.text.clone(), template);
                }
                Some(Err(error)) => {
                    self.error(value.span, format!("the template of `{}`: {error}", key.text), "correct it");
                    good = false;
                }
                None => good = false,
            }
        }
        if good && !templates.values().any(Template::has_secret) {
            self.error(
                node.span,
                "no field holds `{secret}`",
                "give the field that carries the value, as `\"{secret}\"`",
            );
            return None;
        }
        good.then_some(templates)
    }

    fn unlock(&mut self, node: &Node) -> Option<Unlock> {
        let mut fields = self.fields(node, "unlocks")?;
        let what = self.require(&mut fields, "what");
        let verb = self.require(&mut fields, "verb");
        self.finish(fields);
        let verb = verb.and_then(|node| {
            self.word(
                node,
                "verb",
                &[
                    ("read", UnlockVerb::Read),
                    ("write", UnlockVerb::Write),
                    ("mint", UnlockVerb::Mint),
                    ("admin", UnlockVerb::Admin),
                    ("use", UnlockVerb::Use),
                ],
            )
        });
        let what = what.and_then(|node| {
            if self.text(node, "what")?.contains(':') {
                self.pattern(node, "what").map(UnlockWhat::Places)
            } else {
                self.any_reference(node, "what", &[Kind::System, Kind::Credential]).map(UnlockWhat::Node)
            }
        });
        Some(Unlock { what: what?, verb: verb? })
    }

    fn begets(&mut self, node: &Node) -> Option<Begets> {
        if matches!(&node.value, Value::Text(text) if text == "none") {
            return Some(Begets::default());
        }
        let mut fields = self.fields(node, "begets")?;
        let sessions = fields.take("sessions").map(|node| self.duration(node, "sessions"));
        let tokens = fields.take("tokens").map(|node| self.duration(node, "tokens"));
        let leases = fields.take("leases").map(|node| self.duration(node, "leases"));
        self.finish(fields);
        Some(Begets { sessions: flatten(sessions)?, tokens: flatten(tokens)?, leases: flatten(leases)? })
    }
}
