//! Every file in `manifests/invalid` and the problems it must give, which stand beside it.

use std::path::PathBuf;

use remint_core::estate::load;

use super::kinds::{KINDS, file};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../manifests/invalid")
}

/// With `UPDATE_GOLDEN` set the texts are written instead of compared: read the difference before committing it.
#[test]
fn every_invalid_estate_gives_exactly_its_problems() {
    let update = option_env!("UPDATE_GOLDEN").is_some();
    let mut names: Vec<_> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .collect();
    names.sort();
    assert!(names.len() >= 25, "only {} files in manifests/invalid", names.len());
    let mut wrong = Vec::new();
    for path in names {
        let name = path.file_name().unwrap().to_str().unwrap();
        let got = match load(&[file(name, std::fs::read(&path).unwrap())], &KINDS) {
            Ok(_) => panic!("{name} loads, but it must not"),
            Err(problems) => format!("{problems}\n"),
        };
        let golden = path.with_extension("txt");
        if update {
            std::fs::write(&golden, &got).unwrap();
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        if got != expected {
            wrong.push(format!("{name} gives\n{got}but its text says\n{expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
