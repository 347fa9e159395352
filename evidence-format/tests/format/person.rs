//! Names beside the tree: told, kept back, erased, forged.

use remint_evidence_format::bundle::{self, Bundle, Parts};
use remint_evidence_format::person::{Disclosed, read, write};
use remint_evidence_format::report::Report;
use serde_json::json;

use crate::bundle::{assert_broken, signed_again};
use crate::sample::{Story, key, parts, verifier};

fn ada() -> Disclosed {
    Disclosed { name: "ada@example.org".to_owned(), salt: [7; 32] }
}

fn grace() -> Disclosed {
    Disclosed { name: "grace@example.org".to_owned(), salt: [8; 32] }
}

/// A reset whose entries commit to both.
fn story() -> Story {
    let mut story = Story::started();
    story.tell("task.opened", Some("Credential/mainframe"), &json!({"why": "no connector"}));
    let by = ada().commitment();
    story.tell("task.attested", Some("Credential/mainframe"), &json!({"by": by, "why": "changed"}));
    story.tell("node.cleaned", None, &json!({"by": grace().commitment(), "reason": "rebuilt"}));
    story.closed()
}

fn disclosing(persons: &[Disclosed]) -> Bundle {
    let story = story();
    let (entries, checkpoint) = story.placed();
    Bundle::build(&Parts { persons, ..parts(&entries, &checkpoint) }, &key()).unwrap()
}

fn verified(bundle: &Bundle) -> Report {
    bundle.verify(Some(&verifier()))
}

#[test]
fn a_name_that_is_disclosed_is_told_and_one_that_was_erased_is_not() {
    let report = verified(&disclosing(&[grace(), ada()]));
    assert!(report.ok, "{}", report.render());
    assert!(report.render().contains("done by hand, on the word of ada@example.org: changed"), "{}", report.render());
    assert!(report.holds.contains(&"2 names are disclosed, and fit what the entries commit to.".to_owned()));
    // The tree does not know of it.
    let erased = disclosing(&[grace()]);
    assert_eq!(erased.files()[bundle::ENTRIES], disclosing(&[ada()]).files()[bundle::ENTRIES]);
    let report = verified(&erased);
    assert!(report.ok, "{}", report.render());
    let (text, short) = (report.render(), ada().commitment()[..19].to_owned());
    assert!(!text.contains("ada@example.org"), "{text}");
    assert!(text.contains(&format!("somebody whose name is not disclosed ({short})")), "{text}");
}

#[test]
fn another_name_or_one_that_no_entry_tells_of_is_found_even_when_signed_again() {
    let with = |persons: Vec<u8>| {
        let mut files = disclosing(&[ada()]).files().clone();
        files.insert(bundle::PERSONS.to_owned(), persons);
        verified(&signed_again(files))
    };
    let text = String::from_utf8(write(&[ada()]).unwrap()).unwrap();
    assert!(with(text.clone().into_bytes()).ok);
    assert_broken(&with(text.replace("ada@", "bob@").into_bytes()), bundle::PERSONS);
    let stranger = Disclosed { name: "bob".to_owned(), salt: [1; 32] };
    assert_broken(&with(write(&[ada(), stranger]).unwrap()), bundle::PERSONS);
    for other in [text.replace('\n', ""), format!("{text} "), "[]".to_owned(), String::new(), "[\n\n]\n".to_owned()] {
        assert_broken(&with(other.into_bytes()), bundle::PERSONS);
    }
}

#[test]
fn a_list_of_persons_has_one_form() {
    let (one, other) = (write(&[ada(), grace()]).unwrap(), write(&[grace(), ada(), ada()]).unwrap());
    assert_eq!(one, other);
    assert_eq!(read(&one).unwrap().len(), 2);
    let text = String::from_utf8(one).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let swapped = format!("[\n{},\n{}\n]\n", lines[2], lines[1].trim_end_matches(','));
    assert!(read(swapped.as_bytes()).is_err());
    assert!(ada().commitment() != Disclosed { salt: [9; 32], ..ada() }.commitment(), "the salt counts");
}
