//! The documents that describe the cast, as a person would write them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use remint_contract::MadeBy;

use super::cast::{Cast, Member, RUNNER_NAME};
use super::{FIELD, FILES_ADMIN, HOST, ISSUERS, KEEP, RUNNER_FILES, STORES};
use crate::world::World;

/// Every document, systems first.
pub(super) fn write(cast: &Cast, world: &World) -> String {
    let mut text = String::new();
    for (name, made_by) in ISSUERS {
        let made_by = match made_by {
            MadeBy::Remint => "remint",
            MadeBy::Issuer => "issuer",
            MadeBy::IssuerOnce => "issuer-once",
        };
        let dies = if name == "ids-tokens" { ", diesWithIssuer: true" } else { "" };
        let fake = format!("role: issuer, {}, slots: many, madeBy: {made_by}{dies}", endpoints(world, name));
        system(&mut text, name, &fake, Some(&format!("remint-{name}")));
    }
    for name in STORES {
        let own = format!("remint-{name}");
        let auth = if name == RUNNER_FILES { FILES_ADMIN } else { &own };
        system(&mut text, name, &format!("role: store, {}", endpoints(world, name)), Some(auth));
    }
    system(&mut text, KEEP, &format!("role: store, {}", endpoints(world, KEEP)), None);
    system(&mut text, HOST, &format!("role: workloads, {}", endpoints(world, HOST)), None);
    for (name, class, tier) in
        [("remint", "machine", "privileged"), ("ci", "machine", "standard"), ("services", "workload", "standard")]
    {
        let owners = "{business: build-team, policy: iam-team, execution: platform-oncall}";
        let spec = format!("{{class: {class}, tier: {tier}, environment: production, owners: {owners}}}");
        document(&mut text, "Identity", name, &format!("spec: {spec}"));
    }
    for member in &cast.members {
        credential(&mut text, cast, member);
    }
    let workloads: BTreeSet<&String> = cast.members.iter().filter_map(|member| member.consumer.as_ref()).collect();
    for name in workloads {
        workload(&mut text, name);
    }
    text
}

fn endpoints(world: &World, name: &str) -> String {
    let urls = world.service(name).map(crate::world::Service::urls).unwrap_or_default();
    let quoted: Vec<String> = urls.iter().map(|url| format!("\"{url}\"")).collect();
    format!("endpoints: [{}]", quoted.join(", "))
}

fn document(text: &mut String, kind: &str, name: &str, rest: &str) {
    if !text.is_empty() {
        text.push_str("---\n");
    }
    // Writing to a String cannot fail.
    let _ = write!(text, "apiVersion: remint.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\n{rest}\n");
}

fn system(text: &mut String, name: &str, fake: &str, auth: Option<&str>) {
    let auth = auth.map(|auth| format!("\n  auth: {{credential: {auth}}}")).unwrap_or_default();
    document(text, "System", name, &format!("spec:\n  fake: {{{fake}}}{auth}\n  budget: {{concurrency: 8}}"));
}

fn credential(text: &mut String, cast: &Cast, member: &Member) {
    let identity = match &member.consumer {
        None => "remint",
        Some(workload) if workload == RUNNER_NAME => "ci",
        Some(_) => "services",
    };
    let by = member.minted_by.as_ref().map(|parent| format!(", by: {parent}")).unwrap_or_default();
    let dies = if member.dies_with_parent { ", diesWithIssuer: true" } else { "" };
    let mut spec = format!(
        "spec:\n  type: api-key\n  identity: {identity}\n  issuedBy: {{system: {}, target: {}{by}{dies}}}\n  deliveredTo:",
        member.issuer, member.name
    );
    for (index, (store, path)) in member.places.iter().enumerate() {
        let source = if index == 0 { ", source: true" } else { "" };
        let _ = write!(spec, "\n    - {{at: \"{store}:{path}#{FIELD}\"{source}}}");
    }
    if let Some(workload) = &member.consumer {
        let _ = write!(spec, "\n  consumedBy: [{workload}]");
    }
    let unlocks = unlocks(cast, member);
    if !unlocks.is_empty() {
        let _ = write!(spec, "\n  unlocks: [{}]", unlocks.join(", "));
    }
    if member.sessions {
        spec.push_str("\n  begets: {sessions: 1h}");
    }
    let group = member.group.as_ref().map(|group| format!(", group: {group}")).unwrap_or_default();
    let _ = write!(spec, "\n  rotation: {{strategy: overlap{group}}}");
    document(text, "Credential", &member.name, &spec);
}

fn unlocks(cast: &Cast, member: &Member) -> Vec<String> {
    let mut unlocks = Vec::new();
    if let Some(system) = &member.administers {
        let what = if system.starts_with("ids-") { format!("System/{system}") } else { format!("\"{system}:*\"") };
        unlocks.push(format!("{{what: {what}, verb: admin}}"));
    }
    if member.name == FILES_ADMIN {
        unlocks.push(format!("{{what: \"{RUNNER_FILES}:*\", verb: admin}}"));
    }
    unlocks.extend(member.reads.iter().map(|(store, prefix)| format!("{{what: \"{store}:{prefix}*\", verb: read}}")));
    let known = |name: &&String| cast.members.iter().any(|other| other.name == **name);
    unlocks.extend(member.mints.iter().filter(known).map(|name| format!("{{what: Credential/{name}, verb: mint}}")));
    unlocks
}

fn workload(text: &mut String, name: &str) {
    let reads = if name == RUNNER_NAME { format!("\n  reads: [\"{RUNNER_FILES}:*\"]") } else { String::new() };
    let spec = format!(
        "spec:\n  runsOn: {{system: {HOST}, ref: {name}}}\n  reload: http\n  confirm: {{how: self-reported, within: 30s}}{reads}"
    );
    document(text, "Workload", name, &spec);
}
