//! The examples that people copy from load without a word.

use remint_core::estate::load;

use super::kinds::{KINDS, file};

#[test]
fn every_example_loads_without_a_note() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let loaded = load(&[file(&name, std::fs::read(&path).unwrap())], &KINDS);
        let notes = loaded.unwrap_or_else(|problems| panic!("{problems}")).notes;
        let notes: Vec<String> = notes.iter().map(ToString::to_string).collect();
        assert!(notes.is_empty(), "{}", notes.join("\n"));
        seen += 1;
    }
    assert!(seen > 0);
}

/// Documents stand in pages between ```yaml and ```.
#[test]
fn what_the_page_of_windows_shows_loads_without_a_note() {
    let page = include_str!("../../../src/docs/windows.md");
    let shown: Vec<&str> = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(shown.len(), 1);
    let loaded = load(&[file("windows.md", shown[0])], &KINDS).unwrap_or_else(|problems| panic!("{problems}"));
    let notes: Vec<String> = loaded.notes.iter().map(ToString::to_string).collect();
    assert!(notes.is_empty(), "{}", notes.join("\n"));
    assert_eq!((loaded.estate.windows.len(), loaded.estate.credentials.len()), (1, 2));
}
