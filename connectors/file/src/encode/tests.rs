//! Round trips of hostile values, each format against a reader that is not ours.

use std::process::Command;

use proptest::prelude::*;

use super::*;

fn fields(pairs: &[(&str, &str)]) -> Fields {
    pairs.iter().map(|(field, value)| ((*field).to_owned(), SecretValue::from(*value))).collect()
}

fn set(format: Format, old: &str, pairs: &[(&str, &str)]) -> String {
    let new = format.set(Some(old.as_bytes()), &fields(pairs)).unwrap();
    new.expose_str().unwrap().to_owned()
}

/// What `sh` reads as NAME after `. file`.
fn shell_reads(content: &[u8], name: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.env");
    std::fs::write(&file, content).unwrap();
    let script = format!(". \"$1\"; printf %s \"${name}\"");
    let output = Command::new("sh").args(["-c", &script, "sh"]).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn hostile() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        prop::sample::select(vec![
            '\'', '"', '\\', '$', '`', '#', ' ', '\n', '\t', '%', '!', '&', ';', '|', '{', '}', ':', ',', '=', '-',
            '~', '*', '@', '\r', '\u{85}', '\u{2028}', '\u{feff}', '\u{7f}', 'é', '😀', '\u{1}', '(', ')', '<', '[',
            ']', '?',
        ]),
        any::<char>().prop_filter("no NUL", |character| *character != '\0'),
        prop::char::range('a', 'z'),
    ];
    prop::collection::vec(character, 0..24).prop_map(|characters| characters.into_iter().collect())
}

const DOTENV: &str = "# head\nexport A='x y' # why\nPASSWORD=old\n\nB=\"q\\\"\"$HOME\n";
const JSON: &str = "{\n\t\"z\": [1, {\"password\": \"other\"}],\n\t\"db\": { \"password\": \"old\\n\", \"port\": 5432 },\n\t\"password\": null\n}\n";
const YAML: &str = "# head\nlist:\n  - password: other\ndb: # the database\n  # the password\n  password: |\n    old\n    lines\n  port: 5432\nempty:\nlast: {a: 1, b: [2]} # end\n";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn dotenv_carries_any_text_and_keeps_the_rest(value in hostile()) {
        let new = set(Format::Dotenv, DOTENV, &[("PASSWORD", &value), ("NEW", &value)]);
        let after = Format::Dotenv.read(new.as_bytes()).unwrap();
        prop_assert_eq!(after["PASSWORD"].expose_str(), Some(value.as_str()));
        prop_assert_eq!(after["NEW"].expose_str(), Some(value.as_str()));
        prop_assert!(new.starts_with("# head\nexport A='x y' # why\nPASSWORD="));
        prop_assert!(new.contains("\n\nB=\"q\\\"\"$HOME\nNEW="));
    }

    #[test]
    fn json_carries_any_text_and_keeps_the_rest(value in hostile()) {
        let pairs = [("db.password", value.as_str()), ("password", &value), ("new.deep", &value), ("z2", &value)];
        let new: serde_json::Value = serde_json::from_str(&set(Format::Json, JSON, &pairs)).unwrap();
        let expected = serde_json::json!({
            "z": [1, {"password": "other"}], "db": {"password": value, "port": 5432}, "password": value,
            "new": {"deep": value}, "z2": value,
        });
        prop_assert_eq!(new, expected);
    }

    #[test]
    fn yaml_carries_any_text_and_keeps_the_rest(value in hostile()) {
        let pairs = [("db.password", value.as_str()), ("empty", &value), ("new.deep", &value), ("last.c", &value), ("db.x", &value)];
        let new = set(Format::Yaml, YAML, &pairs);
        let read: serde_json::Value = serde_yaml::from_str(&new).unwrap();
        let expected = serde_json::json!({
            "list": [{"password": "other"}], "db": {"password": value, "port": 5432, "x": value}, "empty": value,
            "last": {"a": 1, "b": [2], "c": value}, "new": {"deep": value},
        });
        prop_assert_eq!(read, expected);
        for comment in ["# head\n", " # the database\n", "  # the password\n", " # end\n"] {
            prop_assert!(new.contains(comment), "{}", new);
        }
    }

    #[test]
    fn new_files_of_every_format_give_back_what_was_set(value in hostile()) {
        for format in [Format::Dotenv, Format::Json, Format::Yaml] {
            let new = format.set(None, &fields(&[("a", &value), ("b", "2")])).unwrap();
            prop_assert_eq!(format.read(new.expose()).unwrap(), fields(&[("a", &value), ("b", "2")]));
        }
        let line = value.replace(['\n', '\r'], "");
        let new = Format::Env.set(Some(b"# c\nX=1\nPASS\n"), &fields(&[("X", &line), ("a", "2")])).unwrap();
        prop_assert_eq!(new.expose_str().unwrap(), format!("# c\nX={line}\nPASS\na=2\n"));
        let plain = Format::Plain.set(None, &fields(&[("value", &value)])).unwrap();
        prop_assert_eq!(plain.expose(), value.as_bytes());
    }

    #[test]
    fn any_file_is_changed_cleanly_or_refused(old in hostile(), value in hostile()) {
        for format in [Format::Dotenv, Format::Env, Format::Json, Format::Yaml, Format::Pem] {
            if let Ok(new) = format.set(Some(old.as_bytes()), &fields(&[("a", &value)])) {
                let after = format.read(new.expose()).unwrap();
                prop_assert_eq!(after["a"].expose_str(), Some(value.as_str()));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_real_shell_reads_what_dotenv_writes(value in hostile()) {
        let new = set(Format::Dotenv, DOTENV, &[("PASSWORD", &value)]);
        prop_assert_eq!(shell_reads(new.as_bytes(), "PASSWORD"), value.as_bytes());
        prop_assert_eq!(shell_reads(new.as_bytes(), "A"), b"x y");
    }
}

#[test]
fn the_format_goes_by_the_name() {
    let table = [
        (".env", Format::Dotenv),
        ("a/ci.env", Format::Dotenv),
        (".env.local", Format::Dotenv),
        ("x.env-file", Format::Env),
        ("x.json", Format::Json),
        ("x.yml", Format::Yaml),
        ("tls.key", Format::Pem),
        ("dir.json/token", Format::Plain),
    ];
    for (path, format) in table {
        assert_eq!(Format::of(path), format, "{path}");
    }
}

#[test]
fn dotenv_looks_as_people_write_it() {
    let new = set(Format::Dotenv, "A=1", &[("B", "a b"), ("C", "it's"), ("D", ""), ("E", "x/y+z=")]);
    assert_eq!(new, "A=1\nB='a b'\nC=\"it's\"\nD=''\nE=x/y+z=\n");
}

#[test]
fn a_name_that_stands_twice_keeps_no_old_secret() {
    assert_eq!(set(Format::Dotenv, "A=old\nA=old\n", &[("A", "new")]), "A=new\nA=new\n");
}

#[test]
fn structured_files_change_in_one_place_only() {
    assert_eq!(set(Format::Json, "{\"a\":1}", &[("b.c", "x")]), "{\"b\": {\"c\": \"x\"}, \"a\":1}");
    assert_eq!(set(Format::Json, "{\n  \"a\": 1\n}", &[("b", "x")]), "{\n  \"b\": \"x\",\n  \"a\": 1\n}");
    assert_eq!(set(Format::Json, "{\"a.b\": 1}", &[("a.b", "x")]), "{\"a.b\": \"x\"}");
    assert_eq!(set(Format::Yaml, "a: 1 # c\n", &[("a", "x")]), "a: \"x\" # c\n");
    assert_eq!(set(Format::Yaml, "a:\n  b: 1\n", &[("a.no", "x")]), "a:\n  \"no\": \"x\"\n  b: 1\n");
    assert_eq!(set(Format::Yaml, "# only\n", &[("a", "x")]), "# only\na: \"x\"\n");
    assert_eq!(set(Format::Yaml, "---\na: >-\n  f\n  g\nb: 1\n", &[("a", "x")]), "---\na: \"x\"\nb: 1\n");
}

#[test]
fn what_cannot_be_carried_is_refused_without_naming_the_value() {
    let table = [
        (Format::Dotenv, "", "A", "nul\0marker"),
        (Format::Env, "", "A", "line\nmarker"),
        (Format::Json, "", "A", "nul\0marker"),
        (Format::Yaml, "", "A", "nul\0marker"),
        (Format::Pem, "", "private-key", "marker"),
        (Format::Pem, "", "value", "marker"),
    ];
    for (format, old, field, value) in table {
        let problem = format.set(Some(old.as_bytes()), &fields(&[(field, value)])).unwrap_err();
        assert!(matches!(problem, Problem::Value { .. }), "{format:?} {problem:?}");
        assert!(!format!("{problem:?} {problem}").contains("marker"));
    }
    for format in [Format::Dotenv, Format::Env, Format::Json, Format::Yaml] {
        let binary = Fields::from([("A".to_owned(), SecretValue::new(vec![0xff, 0xfe]))]);
        assert!(matches!(format.fits(&binary), Err(Problem::Value { .. })), "{format:?}");
    }
    assert!(matches!(Format::Dotenv.fits(&fields(&[("a-b", "x")])), Err(Problem::Field { .. })));
    assert!(matches!(Format::Plain.fits(&fields(&[("a", "x")])), Err(Problem::Field { .. })));
}

#[test]
fn files_that_cannot_be_understood_are_refused_with_a_line() {
    let table = [
        (Format::Dotenv, "A=1\nif true; then\nA=2\nfi\n", 2),
        (Format::Dotenv, "A=1\nB='x\n", 2),
        (Format::Dotenv, "A=one two\n", 1),
        (Format::Json, "{\"a\": 1,\n\"a\": 2}", 2),
        (Format::Json, "{\"a\": 1,\n", 2),
        (Format::Json, "[1]", 1),
        (Format::Yaml, "a: 1\n---\nb: 2\n", 2),
        (Format::Yaml, "a: 1\nb: 2\na: 3\n", 3),
        (Format::Yaml, "- 1\n", 1),
        (Format::Pem, "-----BEGIN X-----\n", 1),
    ];
    for (format, old, expected) in table {
        let field = if format == Format::Pem { "private-key" } else { "a" };
        let problem = format.set(Some(old.as_bytes()), &fields(&[(field, "x")])).unwrap_err();
        assert!(matches!(problem, Problem::Syntax { line, .. } if line == expected), "{format:?} {old:?} {problem:?}");
    }
}

#[test]
fn a_value_that_stands_for_more_than_itself_is_not_replaced() {
    for (old, field) in [
        ("a: &x 1\nb: *x\n", "a"),
        ("a: &x 1\nb: *x\n", "b"),
        ("a: {b: 1}\n", "a"),
        ("a: 1\n", "a.b"),
        ("a: [1]\n", "a"),
    ] {
        let problem = Format::Yaml.set(Some(old.as_bytes()), &fields(&[(field, "x")])).unwrap_err();
        assert!(matches!(problem, Problem::Taken { .. }), "{old} {problem:?}");
    }
}

#[test]
fn depth_is_refused_and_never_overflows() {
    let deep = format!("{}{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    assert!(Format::Json.read(deep.as_bytes()).is_err());
    assert!(Format::Yaml.read("[".repeat(100_000).as_bytes()).is_err());
    assert!(Format::Json.fits(&fields(&[(&"a.".repeat(50_000), "x")])).is_err());
}

#[test]
fn pem_blocks_are_replaced_one_by_one() {
    let block = |label: &str, body: &str| format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
    let (key, leaf, root) =
        (block("PRIVATE KEY", "a2V5"), block("CERTIFICATE", "bGVhZg=="), block("CERTIFICATE", "cm9vdA=="));
    let old = format!("# made by hand\n{leaf}{root}{key}");
    let new_key = block("EC PRIVATE KEY", "bmV3");
    let two = format!("{root}{root}");
    let new = set(Format::Pem, &old, &[("private-key", &new_key), ("chain", &two)]);
    assert_eq!(new, format!("# made by hand\n{leaf}{root}{root}{new_key}"));
    let read = Format::Pem.read(new.as_bytes()).unwrap();
    assert_eq!(read["certificate"].expose_str(), Some(leaf.as_str()));
    assert_eq!(read["value"].expose_str(), Some(new.as_str()));
    assert_eq!(set(Format::Pem, &old, &[("value", &key)]), key);
}
