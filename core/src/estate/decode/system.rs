//! `System`: the keys that are ours, and the one that names the connector.

use remint_contract::Kind;

use super::Typed;
use crate::estate::fields::{Decoder, nearest, shorten};
use crate::estate::model::{Budget, Meta, System};
use crate::estate::node::{Key, Node, Value};

impl Decoder<'_, '_> {
    pub(super) fn system(&mut self, meta: Meta, spec: &Node) -> Option<Typed> {
        let mut fields = self.fields(spec, "spec")?;
        let auth = fields.take("auth").map(|node| self.auth(node));
        let budget = fields.take("budget").map(|node| self.budget(node));
        let propagation = fields.take("propagation").map(|node| self.duration(node, "propagation"));
        let zone = fields.take("zone").map(|node| self.text(node, "zone").map(ToOwned::to_owned));
        let others: Vec<(&Key, &Node)> = fields.rest().collect();
        // A slip in a key of ours must not be taken for a connector's name.
        let (slips, connectors): (Vec<_>, Vec<_>) = others
            .into_iter()
            .partition(|(key, _)| self.kinds.kind(&key.text).is_none() && fields.meant(&key.text).is_some());
        for (key, _) in &slips {
            let near = fields.meant(&key.text).unwrap_or_default();
            self.error(
                key.span,
                format!("`spec` has no key `{}`", shorten(&key.text)),
                format!("did you mean `{near}`?"),
            );
        }
        let (key, node) = match connectors.as_slice() {
            [one] => *one,
            [] => {
                let hint = format!("add one of {} with its settings", self.kinds.names().join(", "));
                self.error(fields.span(), "`spec` names no connector", hint);
                return None;
            }
            [(first, _), more @ ..] => {
                for (key, _) in more {
                    let message = format!(
                        "`spec` names a second connector, `{}`, beside `{}`",
                        shorten(&key.text),
                        shorten(&first.text)
                    );
                    self.error(
                        key.span,
                        message,
                        "a System has one connector: remove the other, or make it a System of its own",
                    );
                }
                connectors[0]
            }
        };
        let capabilities = self.connector(key, node);
        let whole = slips.is_empty() && connectors.len() == 1;
        let system = System {
            meta,
            connector: key.text.clone(),
            settings: node.json(),
            auth: flatten(auth)?,
            budget: budget.unwrap_or_else(|| Some(Budget::default()))?,
            propagation: flatten(propagation)?,
            zone: flatten(zone)?,
        };
        whole.then_some(Typed::System(system, capabilities))
    }

    /// Asks the connector what it makes of its settings, and puts its problems at their places.
    fn connector(&mut self, key: &Key, node: &Node) -> Option<remint_contract::Capabilities> {
        let Some(kind) = self.kinds.kind(&key.text) else {
            let names = self.kinds.names();
            let hint = match nearest(&key.text, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("this build has {}", names.join(", ")),
            };
            self.error(key.span, format!("there is no connector `{}`", shorten(&key.text)), hint);
            return None;
        };
        if !matches!(node.value, Value::Map(_) | Value::Null) {
            self.fields(node, "connector settings");
            return None;
        }
        let settings = if matches!(node.value, Value::Null) { serde_json::json!({}) } else { node.json() };
        match kind.describe(&settings) {
            Ok(capabilities) => Some(capabilities),
            Err(problems) => {
                for problem in problems {
                    let span = node.at(problem.path.iter().map(String::as_str));
                    let place = problem.path.iter().fold(key.text.clone(), |place, step| place + "." + step);
                    self.error(span, format!("`{place}`: {}", problem.message), "see the connector's settings");
                }
                None
            }
        }
    }

    fn auth(&mut self, node: &Node) -> Option<remint_contract::Ref> {
        let mut fields = self.fields(node, "auth")?;
        let credential = self.require(&mut fields, "credential");
        self.finish(fields);
        self.reference(credential?, "credential", Kind::Credential)
    }

    fn budget(&mut self, node: &Node) -> Option<Budget> {
        let mut fields = self.fields(node, "budget")?;
        let concurrency = fields.take("concurrency").map(|node| self.count(node, "concurrency"));
        let per_second = fields.take("perSecond").map(|node| self.count(node, "perSecond"));
        let restarts = fields.take("restarts").map(|node| self.count(node, "restarts"));
        self.finish(fields);
        Some(Budget {
            concurrency: concurrency.unwrap_or(Some(Budget::default().concurrency))?,
            per_second: flatten(per_second)?,
            restarts: flatten(restarts)?,
        })
    }
}

/// An optional key: absent is `Some(None)`, unreadable is `None`.
#[allow(clippy::option_option, reason = "absent and unreadable are different")]
pub(super) fn flatten<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        None => Some(None),
        Some(Some(value)) => Some(Some(value)),
        Some(None) => None,
    }
}
