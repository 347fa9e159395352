//! `get parked`: what rests without being settled, one block each, for a person who has to move it on.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::engine::parked::{Holds, Known, Parked, Works};

/// The list as text.
#[must_use]
pub(super) fn text(parked: &[Parked]) -> String {
    let mut text = String::new();
    for (number, one) in parked.iter().enumerate() {
        if number > 0 {
            text.push('\n');
        }
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(text, "{}  {} since {:.0}  (reset {})", one.credential, one.state, one.since, one.reset);
        let mut line = |name: &str, what: &str| {
            let _ = writeln!(text, "  {name:<12} {what}");
        };
        line("why", &one.reason);
        line("places", &holders(&one.places));
        line("consumers", &holders(&one.consumers));
        line("old value", &works(&one.old));
        line("new value", &works(&one.new));
        let automatic = one.automatic.as_ref().map_or_else(
            || "nothing happens by itself".to_owned(),
            |next| next.at.map_or_else(|| next.what.clone(), |at| format!("{} at {at:.0}", next.what)),
        );
        line("by itself", &automatic);
        for (number, command) in one.commands.iter().enumerate() {
            line(if number == 0 { "to move it" } else { "" }, command);
        }
    }
    text
}

fn holders(all: &BTreeMap<String, Holds>) -> String {
    if all.is_empty() {
        return "none".to_owned();
    }
    all.iter().map(|(name, holds)| format!("{name} has {}", held(*holds))).collect::<Vec<_>>().join(", ")
}

const fn held(holds: Holds) -> &'static str {
    match holds {
        Holds::Old => "the old one",
        Holds::New => "the new one",
        Holds::Unseen => "the new one, not seen in use",
        Holds::Withheld => "the old one, until its readers are clean",
    }
}

fn works(works: &Works) -> String {
    let version = works.version.as_deref().map(|version| format!(" ({version})")).unwrap_or_default();
    let at = works.at.map(|at| format!(" at {at:.0}")).unwrap_or_default();
    match works.works {
        Known::Accepted => format!("accepted when it was last tried{at}{version}"),
        Known::Refused => format!("refused when it was last tried{at}{version}"),
        Known::None => "there is none".to_owned(),
        Known::NotKnown => format!("not known whether it works{version}"),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use remint_contract::ResetId;

    use super::*;
    use crate::engine::parked::Automatic;

    #[test]
    fn a_parked_credential_is_told_with_all_that_a_person_needs() {
        let at = Timestamp::UNIX_EPOCH;
        let one = Parked {
            reset: ResetId("r-1".to_owned()),
            credential: "Credential/pay".parse().unwrap(),
            state: "parked at promote".to_owned(),
            since: at,
            reason: "promote: connection refused (system System/vault)".to_owned(),
            places: [("vault:apps/pay#secret".to_owned(), Holds::Unseen)].into(),
            consumers: [("Workload/shop".to_owned(), Holds::Old)].into(),
            old: Works { version: Some("v1".to_owned()), works: Known::Accepted, at: Some(at) },
            new: Works { version: Some("v2".to_owned()), works: Known::NotKnown, at: None },
            automatic: Some(Automatic { what: "the daemon tries it again".to_owned(), at: Some(at) }),
            commands: vec!["remint retry r-1 --only Credential/pay".to_owned(), "remint rollback r-1".to_owned()],
        };
        let none = Parked {
            places: BTreeMap::new(),
            consumers: BTreeMap::new(),
            new: Works { version: None, works: Known::None, at: None },
            automatic: None,
            commands: Vec::new(),
            ..one.clone()
        };
        insta::assert_snapshot!(text(&[one, none]), @r"
        Credential/pay  parked at promote since 1970-01-01T00:00:00Z  (reset r-1)
          why          promote: connection refused (system System/vault)
          places       vault:apps/pay#secret has the new one, not seen in use
          consumers    Workload/shop has the old one
          old value    accepted when it was last tried at 1970-01-01T00:00:00Z (v1)
          new value    not known whether it works (v2)
          by itself    the daemon tries it again at 1970-01-01T00:00:00Z
          to move it   remint retry r-1 --only Credential/pay
                       remint rollback r-1

        Credential/pay  parked at promote since 1970-01-01T00:00:00Z  (reset r-1)
          why          promote: connection refused (system System/vault)
          places       none
          consumers    none
          old value    accepted when it was last tried at 1970-01-01T00:00:00Z (v1)
          new value    there is none
          by itself    nothing happens by itself
        ");
    }
}
