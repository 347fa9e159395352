//! Golden text without what differs from run to run: times, ids, digests, keys and the home folder.

/// The text with names for what differs, and without the padding that their lengths cause.
pub(super) fn normal(text: &str, home: &str) -> String {
    let mut normal = String::new();
    let rule = |line: &str| !line.is_empty() && line.chars().all(|letter| matches!(letter, '─' | ' '));
    let tables = text.lines().any(rule);
    for line in text.lines() {
        let line = line.replace(home, "~");
        let mut words = String::new();
        let mut word = String::new();
        for letter in line.chars() {
            if letter.is_ascii_alphanumeric() || "+/=:.-".contains(letter) {
                word.push(letter);
            } else {
                words.push_str(&named(&std::mem::take(&mut word)));
                words.push(letter);
            }
        }
        words.push_str(&named(&word));
        match (rule(&line), tables) {
            (true, _) => normal.push_str("───"),
            (false, true) => normal.push_str(&unpadded(&words)),
            (false, false) => normal.push_str(words.trim_end()),
        }
        normal.push('\n');
    }
    normal
}

/// Columns are as wide as their widest word, which differs too: between words two spaces stand for any number.
fn unpadded(line: &str) -> String {
    let indent = line.len() - line.trim_start().len();
    let words: Vec<&str> = line.split("  ").map(str::trim).filter(|word| !word.is_empty()).collect();
    format!("{}{}", &line[..indent], words.join("  ")).trim_end().to_owned()
}

/// A name in place of what is never the same twice.
fn named(word: &str) -> String {
    let hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let (core, end) = word.trim_end_matches(['.', ':']).split_at(word.trim_end_matches(['.', ':']).len());
    let end = if end.is_empty() { &word[core.len()..] } else { end };
    let core = match core {
        digest if hex(digest, 64) => "DIGEST".to_owned(),
        digest if digest.strip_prefix("sha256:").is_some_and(|digest| hex(digest, 64)) => "sha256:DIGEST".to_owned(),
        short if hex(short, 12) => "DIGEST".to_owned(),
        key if key.starts_with("remint") && key.contains('+') && key.len() > 50 => {
            format!("{}+ID+KEY", key.split('+').next().unwrap_or_default())
        }
        key if key.len() == 44 && key.ends_with('=') => "PUBLIC".to_owned(),
        time if time.parse::<jiff::Timestamp>().is_ok() => "TIME".to_owned(),
        id if id.starts_with("r-") && id.len() >= 12 && hex(&id[2..12], 10) => format!("r-ID{}", &id[12..]),
        other => other.to_owned(),
    };
    format!("{core}{end}")
}

#[test]
fn what_differs_from_run_to_run_gets_a_name() {
    let text = "Reset r-00ff00ff00: due 2026-11-21T03:35:53.123Z at /tmp/x/state   \nr-00ff00ff00-t0 0123456789ab.";
    assert_eq!(normal(text, "/tmp/x"), "Reset r-ID: due TIME at ~/state\nr-ID-t0 DIGEST.\n");
}
