//! Commands over a door of the daemon: said by persons with the program as it is shipped, they come to what they come to
//! where the state is.

use remint_contract::Material;

use super::team::{Team, word};

#[tokio::test]
async fn one_person_with_two_tokens_is_one_person() {
    let (team, daemon) = Team::new().await;
    let before = team.place.values(1);
    team.says("alice", "reset --from Credential/app0 --reason INC-1 --request-id inc-1").await.is(3, "Asked for");
    for person in ["alice", "bob"] {
        let line = format!("token create --name {person} --scope read,approve --out ~/{person}.second");
        team.says(person, &line).await.is(0, "");
    }
    // She may approve, by every policy; that she asked is why her word counts for nothing, whichever token she shows.
    let second = |person: &str| team.path(&format!("{person}.second"));
    team.says("alice", "approve inc-1").await.is(3, "2 more persons of 2");
    team.says_with(&second("alice"), "approve inc-1").await.is(3, "2 more persons of 2");
    // He is one of the two, however often he says so.
    team.says("bob", "approve inc-1").await.is(3, "1 more person of 2");
    team.says_with(&second("bob"), "approve inc-1").await.is(3, "1 more person of 2");
    assert_eq!(team.place.values(1), before);
    // What he takes back through the one is taken back.
    team.says_with(&second("bob"), "withdraw inc-1 --reason later").await.is(0, "");
    team.says("carol", "approve inc-1").await.is(3, "1 more person of 2");
    team.says("bob", "approve inc-1 --additions 1:standard").await.is(0, "");
    assert!(!team.place.rig.issuer.accepts(&Material::of(before[0].clone())));
    daemon.stop().await;
}

#[tokio::test]
async fn what_is_looked_at_over_a_door_is_what_the_state_says() {
    let (team, daemon) = Team::new().await;
    team.says("alice", "graph").await.is(0, "Credential/app0");
    team.says("alice", "reach --from Workload/w0").await.is(0, "Credential/app0");
    team.says("alice", "plan --from Credential/app0 --out ~/plan").await.is(0, "Credential/app0");
    assert!(team.path("plan").is_file());
    team.says("alice", "plan --from Credential/none").await.is(2, "Credential/none");
    team.says("alice", "windows next").await.is(0, "RotationWindow/nights");
    team.says("alice", "policy explain --action approve").await.is(0, "allowed");
    team.says("alice", "policy explain --action approve --principal unix:4711").await.is(3, "DENIED");
    team.says("alice", "estate diff").await.is(0, "Nothing is staged");
    // What a daemon is not asked is refused, with what to do instead.
    let before = "reach --from Workload/w0 --between 2026-01-01T00:00:00Z 2026-02-01T00:00:00Z";
    for line in [before, "estate diff somewhere", "store check", "keys list", "reprove x", "evidence erase x"] {
        team.says("alice", line).await.is(2, "");
    }

    let text = team.place.documents() + super::team::POLICY;
    team.place.write(&text.replace("duration: 4h", "duration: 3h"));
    team.says("alice", "estate diff").await.is(0, "RotationWindow/nights");
    team.says("alice", "estate activate").await.is(3, "--yes");
    team.says("alice", "estate activate --yes").await.is(0, "Active: sha256:");
    team.says("alice", "windows next").await.is(0, "3h");
    daemon.stop().await;
}

#[tokio::test]
async fn exceptions_windows_and_policies_take_two_persons_over_a_door_too() {
    let (team, daemon) = Team::new().await;
    // An exception, signed with keys of their own.
    let line = "except Credential/app0 --owner dave --until 2d --reason closed";
    let asked = word(&team.says("alice", line).await.is(3, "Asked for: exception"), "x-");
    team.says("bob", &format!("approve {asked} --key ~/carol.key")).await.is(3, "does not count");
    team.says("bob", &format!("approve {asked} --key ~/bob.key")).await.is(3, "1 more person of 2");
    team.says("carol", &format!("approve {asked} --key ~/carol.key")).await.is(0, "Signed by");
    team.says("carol", "get exceptions").await.is(0, &asked);
    team.says("alice", "plan --from Credential/app0").await.is(3, "nothing to replace");
    team.says("alice", "except Credential/app0 --end --reason opened").await.is(0, "1 exception ended");
    team.says("alice", "except Credential/none --owner dave --until 2d --reason x").await.is(2, "");

    // What a window may do.
    let asked = team.says("alice", "windows approve RotationWindow/nights --until 30d").await;
    let asked = word(&asked.is(3, "Asked for: standing approval"), "s-");
    team.says("alice", &format!("approve {asked}")).await.is(3, "2 more persons of 2");
    team.says("bob", &format!("approve {asked} --key ~/bob.key")).await.is(3, "1 more person of 2");
    team.says("carol", &format!("approve {asked}")).await.is(0, "Signed by");
    team.says("bob", &format!("windows end {asked} --reason enough")).await.is(0, "Ended");

    // Who may do what: one proposes, and another one consents.
    team.charter(&team.persons.replace("groups: [all]", "groups: [all, responders]"));
    team.says("alice", "policy stage ~/charter").await.is(3, "Staged");
    team.says("alice", "policy stage ~/charter").await.is(3, "Staged");
    team.says("bob", "policy stage ~/charter").await.is(0, "Active");
    team.says("bob", "policy explain --action read").await.is(0, "responders");
    daemon.stop().await;
}

#[tokio::test]
async fn a_broken_glass_is_reviewed_and_its_evidence_taken_away_over_a_door() {
    let (team, daemon) = Team::new().await;
    let before = team.place.values(1);
    let line = "reset --from Credential/app0 --reason INC-7 --request-id inc-7 --break-glass --wait";
    team.says("alice", line).await.is(0, "The glass is broken");
    assert!(!team.place.rig.issuer.accepts(&Material::of(before[0].clone())));
    team.says("alice", "review inc-7 --reason mine").await.is(3, "another person");
    team.says("bob", "review inc-7 --reason found").await.is(0, "Reviewed: alice");
    team.says("bob", "evidence list inc-7").await.is(0, "break-glass.reviewed");
    team.says("bob", "evidence export inc-7 --out ~/bundle").await.is(0, "bytes in");
    team.says("bob", &format!("evidence verify ~/bundle --key {}", team.key)).await.is(0, "reviewed afterwards by bob");
    daemon.stop().await;
}
