//! `Workload`: where it runs, how it is made to read again, how it is seen on the new value.

use std::time::Duration;

use remint_contract::{ConfirmGrade, Kind};

use super::system::flatten;
use crate::estate::fields::Decoder;
use crate::estate::model::{Confirm, ConfirmHow, Meta, Reload, RunsOn, Workload};
use crate::estate::node::{Node, Value};

const WITHIN: Duration = Duration::from_mins(5);
const RELOADS: [(&str, &str); 5] =
    [("none", "none"), ("signal", "signal"), ("http", "http"), ("command", "command"), ("rollout", "rollout")];

impl Decoder<'_, '_> {
    pub(super) fn workload(&mut self, meta: Meta, spec: &Node) -> Option<Workload> {
        if meta.name.as_str() == super::super::derive::REMINT
            && meta.namespace == remint_contract::Name::default_namespace()
        {
            self.error(
                spec.span,
                "Remint describes itself from its configuration; a document could only contradict that",
                "remove it, or give this workload another name",
            );
        }
        let mut fields = self.fields(spec, "spec")?;
        let runs_on = fields.take("runsOn").map(|node| self.runs_on(node));
        let reload_node = fields.take("reload");
        let reload = reload_node.map_or_else(
            || Some(Reload { how: "none".into(), settings: serde_json::Value::Null }),
            |node| self.reload(node),
        );
        let confirm = fields.take("confirm").map_or_else(
            || {
                let how = ConfirmHow(ConfirmGrade::Attested);
                Some(Confirm { how, within: WITHIN, source: None, settings: serde_json::Value::Null })
            },
            |node| self.confirm(node),
        );
        let reads = self.each(fields.take("reads"), "reads", |decoder, node| decoder.pattern(node, "reads"));
        self.finish(fields);
        if let (Some(node), Some(reload), None) = (reload_node, &reload, &runs_on)
            && reload.how != "none"
        {
            let message = format!("`reload: {}` needs to know where the workload runs", reload.how);
            self.error(node.span, message, "add `runsOn: {system: …, ref: …}`");
            return None;
        }
        Some(Workload { meta, runs_on: flatten(runs_on)?, reload: reload?, confirm: confirm?, reads: reads? })
    }

    fn runs_on(&mut self, node: &Node) -> Option<RunsOn> {
        let mut fields = self.fields(node, "runsOn")?;
        let system = self.require(&mut fields, "system").and_then(|node| self.reference(node, "system", Kind::System));
        let reference = self.require(&mut fields, "ref").and_then(|node| self.text(node, "ref"));
        self.finish(fields);
        Some(RunsOn { system: system?, reference: reference?.to_owned() })
    }

    /// A word, or one word with the host's settings under it.
    fn reload(&mut self, node: &Node) -> Option<Reload> {
        let Value::Map(entries) = &node.value else {
            let how = self.word(node, "reload", &RELOADS)?;
            return Some(Reload { how: how.into(), settings: serde_json::Value::Null });
        };
        let [(key, settings)] = entries.as_slice() else {
            self.error(node.span, "`reload` has several ways at once", "keep one of them");
            return None;
        };
        let word = Node { span: key.span, value: Value::Text(key.text.clone()) };
        let how = self.word(&word, "reload", &RELOADS)?;
        Some(Reload { how: how.into(), settings: settings.json() })
    }

    fn confirm(&mut self, node: &Node) -> Option<Confirm> {
        let mut fields = self.fields(node, "confirm")?;
        let how = self.require(&mut fields, "how").and_then(|node| {
            self.word(
                node,
                "how",
                &[
                    ("issuer-seen", ConfirmGrade::IssuerSeen),
                    ("self-reported", ConfirmGrade::SelfReported),
                    ("served", ConfirmGrade::Served),
                    ("rolled-out", ConfirmGrade::RolledOut),
                    ("attested", ConfirmGrade::Attested),
                ],
            )
        });
        let within = fields.take("within").map_or(Some(WITHIN), |node| self.duration(node, "within"));
        let source = fields.take("source").map(|node| self.text(node, "source").map(ToOwned::to_owned));
        let settings: serde_json::Map<String, serde_json::Value> =
            fields.rest().map(|(key, value)| (key.text.clone(), value.json())).collect();
        let settings = if settings.is_empty() { serde_json::Value::Null } else { settings.into() };
        Some(Confirm { how: ConfirmHow(how?), within: within?, source: flatten(source)?, settings })
    }
}
