//! Connector kinds that only describe themselves: planning opens nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use remint_contract::*;

pub struct TestKinds;

impl Kinds for TestKinds {
    fn kind(&self, name: &str) -> Option<&dyn ConnectorKind> {
        match name {
            "plain" => Some(&Plain),
            "once" => Some(&Once),
            _ => None,
        }
    }
    fn names(&self) -> Vec<&'static str> {
        vec!["once", "plain"]
    }
}

struct Plain;
struct Once;

fn issuer(slots: Slots, made_by: MadeBy) -> Capabilities {
    Capabilities {
        verbs: [Verb::Disable, Verb::ListDerived, Verb::EndDerived].into(),
        issuer: Some(IssuerCapabilities {
            slots,
            made_by,
            probe: ProbeCost::Free,
            propagation: Duration::ZERO,
            strategies: [Strategy::Overlap, Strategy::Alternate, Strategy::InPlace, Strategy::DualTrust].into(),
            endpoints: vec!["main".into()],
            verifies_at: None,
            reversible_disable: true,
            dies_with_issuer: false,
            calls: vec![(Strategy::Overlap, 8)],
        }),
        store: None,
        consumer: None,
    }
}

impl ConnectorKind for Plain {
    fn name(&self) -> &'static str {
        "plain"
    }
    fn describe(&self, _: &serde_json::Value) -> Result<Capabilities, Vec<SettingProblem>> {
        Ok(issuer(Slots::Many, MadeBy::Remint))
    }
    fn open(&self, _: &serde_json::Value, _: &HostRules) -> Result<Arc<dyn Connector>, Error> {
        unreachable!("planning opens nothing")
    }
}

impl ConnectorKind for Once {
    fn name(&self) -> &'static str {
        "once"
    }
    fn describe(&self, _: &serde_json::Value) -> Result<Capabilities, Vec<SettingProblem>> {
        Ok(issuer(Slots::One, MadeBy::IssuerOnce))
    }
    fn open(&self, _: &serde_json::Value, _: &HostRules) -> Result<Arc<dyn Connector>, Error> {
        unreachable!("planning opens nothing")
    }
}
