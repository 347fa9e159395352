//! `ApprovalPolicy`: whose credentials, and what it takes.

use std::collections::BTreeSet;

use remint_contract::{ConfirmGrade, ProofGrade};

use super::system::flatten;
use crate::approval::{Obligations, Separate};
use crate::estate::fields::Decoder;
use crate::estate::model::{ApprovalPolicy, ClassOfIdentity, Meta, Selection, Tier};
use crate::estate::node::{Node, Value};

/// More persons than any team brings together in one shift.
const MOST: i64 = 20;

const CLASSES: [(&str, ClassOfIdentity); 5] = [
    ("workload", ClassOfIdentity::Workload),
    ("machine", ClassOfIdentity::Machine),
    ("agent", ClassOfIdentity::Agent),
    ("human", ClassOfIdentity::Human),
    ("emergency", ClassOfIdentity::Emergency),
];

const TIERS: [(&str, Tier); 2] = [("standard", Tier::Standard), ("privileged", Tier::Privileged)];

const SEPARATE: [(&str, Separate); 3] = [
    ("requester-approver", Separate::RequesterApprover),
    ("approver-executor", Separate::ApproverExecutor),
    ("requester-executor", Separate::RequesterExecutor),
];

const CONFIRM: [(&str, ConfirmGrade); 5] = [
    ("issuer-seen", ConfirmGrade::IssuerSeen),
    ("self-reported", ConfirmGrade::SelfReported),
    ("served", ConfirmGrade::Served),
    ("rolled-out", ConfirmGrade::RolledOut),
    ("attested", ConfirmGrade::Attested),
];

const PROOF: [(&str, ProofGrade); 5] = [
    ("refused", ProofGrade::Refused),
    ("refused-uncontrolled", ProofGrade::RefusedUncontrolled),
    ("published", ProofGrade::Published),
    ("absent", ProofGrade::Absent),
    ("attested", ProofGrade::Attested),
];

impl Decoder<'_, '_> {
    pub(super) fn approval(&mut self, meta: Meta, spec: &Node) -> Option<ApprovalPolicy> {
        let mut fields = self.fields(spec, "spec")?;
        let select = fields.take("select").map_or_else(|| Some(Selection::default()), |node| self.selection(node));
        let written = self.require(&mut fields, "require");
        self.finish(fields);
        let require = written.and_then(|node| self.obligations(node));
        let policy = ApprovalPolicy { meta, select: select?, require: require? };
        let privileged = policy.select.tiers.is_empty() || policy.select.tiers.contains(&Tier::Privileged);
        if let Some(written) = written.filter(|_| privileged && policy.require.approvals == 0) {
            let hint = "write `approvals: 1` or more, or `select: {tiers: [standard]}`";
            self.error(written.at(["approvals"]), "nobody would have to approve a privileged credential", hint);
            return None;
        }
        Some(policy)
    }

    fn selection(&mut self, node: &Node) -> Option<Selection> {
        let mut fields = self.fields(node, "select")?;
        let classes =
            self.each(fields.take("classes"), "classes", |decoder, node| decoder.word(node, "classes", &CLASSES));
        let tiers = self.each(fields.take("tiers"), "tiers", |decoder, node| decoder.word(node, "tiers", &TIERS));
        let environments = self.each(fields.take("environments"), "environments", |decoder, node| {
            decoder.text(node, "environments").map(ToOwned::to_owned)
        });
        self.finish(fields);
        Some(Selection {
            classes: classes?.into_iter().collect(),
            tiers: tiers?.into_iter().collect(),
            environments: environments?.into_iter().collect(),
        })
    }

    fn obligations(&mut self, node: &Node) -> Option<Obligations> {
        let mut fields = self.fields(node, "require")?;
        let approvals = self.require(&mut fields, "approvals").and_then(|node| self.persons(node));
        let roles = self
            .each(fields.take("roles"), "roles", |decoder, node| decoder.text(node, "roles").map(ToOwned::to_owned));
        // Said as an empty list it is nobody's business; not said it is everybody's.
        let separate = match fields.take("separate") {
            None => Some(Separate::ALL.into()),
            some => self
                .each(some, "separate", |decoder, node| decoder.word(node, "separate", &SEPARATE))
                .map(|words| words.into_iter().collect::<BTreeSet<_>>()),
        };
        let step_up = fields.take("stepUp").map(|node| self.duration(node, "stepUp"));
        let expires = fields.take("expires").map(|node| self.duration(node, "expires"));
        let cool_down = fields.take("coolDown").map(|node| self.duration(node, "coolDown"));
        let canary = fields.take("canary").map(|node| self.count::<u32>(node, "canary"));
        let least_confirm = fields.take("leastConfirm").map(|node| self.word(node, "leastConfirm", &CONFIRM));
        let least_proof = fields.take("leastProof").map(|node| self.word(node, "leastProof", &PROOF));
        self.finish(fields);
        Some(Obligations {
            approvals: approvals?,
            roles: roles?.into_iter().collect(),
            separate: separate?,
            step_up: flatten(step_up)?,
            expires: flatten(expires)?.unwrap_or(Obligations::EXPIRES),
            cool_down: flatten(cool_down)?.unwrap_or_default(),
            canary: flatten(canary)?.map(|canary| canary as usize),
            least_confirm: flatten(least_confirm)?,
            least_proof: flatten(least_proof)?,
            privileged: false,
        })
    }

    fn persons(&mut self, node: &Node) -> Option<u32> {
        match node.value {
            Value::Whole(count @ 0..=MOST) => u32::try_from(count).ok(),
            Value::Withheld => None,
            _ => {
                self.error(node.span, "`approvals` is not a number of persons", "write a whole number from 0 to 20");
                None
            }
        }
    }
}
