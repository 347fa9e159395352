//! Files that cannot be committed as they are, or that are about several files at once.

use std::fmt::Write as _;

use remint_core::estate::{Severity, load};

use super::kinds::{KINDS, bad, document, file, good, ground, loading};

#[test]
fn a_file_of_100_mb_is_refused_by_its_length() {
    let problems = bad(vec![b'['; 100 << 20]);
    assert_eq!(problems, "estate.yaml: the file has 100 MiB and is refused unread: split it: a file has at most 4 MiB");
}

#[test]
fn a_byte_that_is_not_utf8_is_shown_by_line_and_column_and_hides_no_other_document() {
    let mut bytes = b"---\nkind: \xC3\xB6\xFF\n".to_vec();
    bytes.extend(document("Identity", "one", "{class: machin}").into_bytes());
    let problems = bad(bytes);
    assert_eq!(
        problems,
        "estate.yaml:2:8: a byte here is not UTF-8: save the file as UTF-8; the rest of this document is not read\n\
         estate.yaml:7:15: `class` cannot be `machin` (Identity/one): did you mean `machine`?"
    );
}

#[test]
fn a_byte_order_mark_is_named_and_the_rest_is_read() {
    let problems = bad(format!("\u{feff}{}", document("Identity", "one", "{class: robot}")));
    let lines: Vec<&str> = problems.lines().collect();
    assert_eq!(lines[0], "estate.yaml:1:1: the file begins with a byte order mark: save it as UTF-8 without one");
    assert!(lines[1].contains("`class` cannot be `robot` (Identity/one)"), "{problems}");
    let sixteen: Vec<u8> = "\u{feff}kind".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(bad(sixteen).contains("it looks like UTF-16"));
}

#[test]
fn problems_of_all_files_come_at_once_and_sorted() {
    let files = [
        file("b.yaml", document("Identity", "two", "{class: machine, colour: red}")),
        file("a.yaml", format!("{}---\n[broken\n", document("Identity", "one", "{class: robot}"))),
    ];
    let problems = load(&files, &KINDS).expect_err("there are problems").to_string();
    let places: Vec<&str> = problems.lines().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(places.len(), 3, "{problems}");
    assert!(
        places[0].starts_with("a.yaml:5:15") && places[1].starts_with("a.yaml:") && places[2] == "b.yaml:5:24",
        "{problems}"
    );
}

#[test]
fn lines_and_columns_are_right_in_later_documents() {
    let text = format!("# words\n\n{}# more\n---\nkind: Identity\n", document("Identity", "one", "{class: machine}"));
    let problems = bad(text);
    assert!(problems.contains("estate.yaml:10:1: `document` has no `apiVersion`"), "{problems}");
}

#[test]
fn two_thousand_documents_load() {
    let mut text = ground();
    for index in 0..1000 {
        let _ = write!(text, "{}", document("Workload", &format!("w{index}"), "{}"));
        let spec = format!(
            "{{type: key, identity: app, issuedBy: {{system: issuer, target: t{index}}}, \
             deliveredTo: [{{at: \"host:p{index}#KEY\"}}], consumedBy: [w{index}]}}"
        );
        let _ = write!(text, "{}", document("Credential", &format!("c{index}"), &spec));
    }
    let estate = good(&text);
    assert_eq!((estate.credentials.len(), estate.workloads.len()), (1000, 1001));
}

#[test]
fn remint_reads_what_it_acts_with_and_is_never_told_so() {
    let text = ground()
        + &document("System", "db", "{fake: {}, auth: {credential: admin}}")
        + &document(
            "Credential",
            "admin",
            "{type: login, identity: app, issuedBy: {system: db, target: admin}, deliveredTo: [{at: \"host:admin#P\"}]}",
        );
    let estate = good(&text);
    let remint = "Workload/remint".parse().unwrap();
    assert!(estate.workloads.contains_key(&remint));
    assert!(estate.credentials[&"Credential/admin".parse().unwrap()].consumed_by.contains(&remint));
}

#[test]
fn notes_say_what_somebody_should_look_at_and_refuse_nothing() {
    let text = ground()
        + &document("Identity", "bare", "{class: machine}")
        + &document("Credential", "idle", "{type: key, identity: bare, issuedBy: {system: issuer, target: t}}");
    let notes = loading(text).expect("notes refuse nothing").notes;
    assert!(notes.iter().all(|note| note.severity == Severity::Warning));
    let lines: Vec<String> = notes.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "estate.yaml:20:7: warning: this workload reads no credential (Workload/web): name it under `consumedBy` of what it reads, or give it `reads`",
            "estate.yaml:25:7: warning: nobody is named as policy, execution, business owner (Identity/bare): name who answers for it under `owners`",
            "estate.yaml:30:7: warning: no workload reads this credential (Credential/idle): name its readers under `consumedBy`, or retire it",
        ]
    );
}

#[test]
fn an_empty_estate_and_empty_documents_are_estates() {
    assert_eq!(good(""), good("---\n# nothing\n---\n...\n"));
}

#[test]
fn a_grant_opens_its_namespace() {
    let shared = "---\napiVersion: remint.dev/v1alpha1\nkind: Grant\nmetadata: {name: web, namespace: shared}\n\
                  spec: {from: default, to: [System/issuer]}\n\
                  ---\napiVersion: remint.dev/v1alpha1\nkind: System\nmetadata: {name: issuer, namespace: shared}\nspec: {fake: {}}\n";
    let spec = "{type: key, identity: app, issuedBy: {system: shared/issuer, target: t}, consumedBy: [web]}";
    let text = ground() + &document("Credential", "key", spec) + shared;
    good(&text);
    let closed = text.replace("from: default", "from: elsewhere");
    assert!(
        bad(closed).contains("System/shared/issuer is in another namespace, and no Grant lets default refer to it")
    );
}
