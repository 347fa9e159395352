//! What a person signed with a key of his own: brought by himself, or by somebody else.

use std::time::Duration;

use remint_core::approval::{Party, Person, Signature, Signed, Strength};
use remint_core::gate::{Action, Caller, Resource};
use remint_evidence_format::approval::Approval;
use remint_evidence_format::note::VerifierKey;

use super::{Active, Gate, GateError, Passed, SIGNED_GRADE, UNGOVERNED};
use crate::govern::yes::{About, Bound, SKEW};

/// How old a yes may be that somebody else brings: as old as an act may become where nothing is said.
const BROUGHT: Duration = Duration::from_hours(1);

impl Gate {
    /// The yes of somebody who passed, with what he signed with a key of his own: it is of exactly this, by the person that
    /// he is, with a key that the active table has for him, and of now.
    ///
    /// # Errors
    /// It is not.
    pub async fn vouch(&self, passed: &Passed, note: &str, about: &About<'_>) -> Result<Signature, GateError> {
        let active = self.active().await?.ok_or_else(ungoverned)?;
        let person = passed.person().ok_or_else(|| refused("nobody knows which person you are"))?;
        let (approval, key) = opened(&active, &person, note)?;
        let bound = about.bind(&approval, self.context.clock.now(), SKEW).map_err(refused)?;
        self.signature(passed, note, key, bound)
    }

    /// The yes of a person that somebody else brought, who needs no authority for that: who it is, the key says.
    ///
    /// # Errors
    /// It is of something else, older than an hour, by nobody whom the table knows by that key, or he may not.
    pub async fn brought(
        &self,
        caller: &Caller,
        note: &str,
        about: &About<'_>,
        action: Action,
        resource: &Resource,
    ) -> Result<(Passed, Signature), GateError> {
        let active = self.active().await?.ok_or_else(ungoverned)?;
        let person = Approval::unchecked(note).map_err(|error| refused(error.to_string()))?.person;
        let person = Person(person);
        let (approval, key) = opened(&active, &person, note)?;
        let bound = about.bind(&approval, self.context.clock.now(), BROUGHT).map_err(refused)?;
        let principal = format!("key:{person}");
        let caller = Caller { principal: principal.clone(), ..caller.clone() };
        let party = Party::Person { principal, person };
        let explained = self.explain_of(&active, &caller, party, action, resource).await?;
        let passed = self.decided(&caller, explained, action, resource).await?;
        let signature = self.signature(&passed, note, key, bound)?;
        Ok((passed, signature))
    }

    fn signature(&self, passed: &Passed, note: &str, key: String, bound: Bound) -> Result<Signature, GateError> {
        let signature = passed.signature(self.context.clock.now()).ok_or_else(ungoverned)?;
        let strength = Strength { auth_time: Some(bound.at), grade: SIGNED_GRADE.to_owned() };
        let signed = Some(Signed { note: note.to_owned(), key });
        Ok(Signature { strength, until: Some(bound.until), additions: bound.additions, signed, ..signature })
    }
}

/// Reads it with the key that the table has for this person.
fn opened(active: &Active, person: &Person, note: &str) -> Result<(Approval, String), GateError> {
    let mut why = format!("the table of persons has no key of {person}; remint policy key makes one");
    for text in active.table.keys(person) {
        match VerifierKey::parse(&text).and_then(|key| Approval::open(note, &key)) {
            Ok(approval) => return Ok((approval, text)),
            Err(error) => why = error.to_string(),
        }
    }
    Err(refused(why))
}

fn refused(why: impl std::fmt::Display) -> GateError {
    GateError::Refused(format!("the signed approval does not count: {why}"))
}

fn ungoverned() -> GateError {
    GateError::Refused(UNGOVERNED.to_owned())
}
