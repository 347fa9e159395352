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
