//! A small collecting decoder: reads a map key by key and reports every unknown key, missing key and wrong type of it.
//!
//! A reader that cannot read a value reports it and answers `None`; its caller goes on with the next key, so that one
//! look finds everything. A [`Use`] remembers each reference with its place, for the check that it leads somewhere.

use std::time::Duration;

use remint_contract::{Kind, Kinds, Location, Name, Pattern, Ref};

use super::node::{Key, Node, Value};
use super::problem::{Reporter, Span};

/// A reference as a document makes it.
pub(super) struct Use {
    pub(super) span: Span,
    pub(super) from: Ref,
    pub(super) to: Ref,
}

/// What decoding one document needs and gathers.
pub(super) struct Decoder<'d, 'f> {
    pub(super) report: &'d mut Reporter<'f>,
    pub(super) kinds: &'d dyn Kinds,
    pub(super) uses: &'d mut Vec<Use>,
    pub(super) subject: Ref,
}

/// The keys of one map, taken one by one.
pub(super) struct Fields<'n> {
    span: Span,
    what: &'static str,
    entries: Vec<(&'n Key, &'n Node, bool)>,
    known: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// `what` is how messages call the map: "spec", "issuedBy".
    pub(super) fn of(
        node: &'n Node,
        what: &'static str,
        report: &mut Reporter<'_>,
        subject: Option<&Ref>,
    ) -> Option<Self> {
        match &node.value {
            Value::Map(entries) => {
                let entries = entries.iter().map(|(key, value)| (key, value, false)).collect();
                Some(Self { span: node.span, what, entries, known: Vec::new() })
            }
            Value::Withheld => None,
            other => {
                let message = format!("`{what}` is {}", describe(other));
                report.error(node.span, subject, message, "write keys and values under it");
                None
            }
        }
    }

    /// The value of a key, when it is there and not empty.
    pub(super) fn take(&mut self, name: &'static str) -> Option<&'n Node> {
        self.known.push(name);
        let entry = self.entries.iter_mut().find(|(key, ..)| key.text == name)?;
        entry.2 = true;
        Some(entry.1).filter(|node| !matches!(node.value, Value::Null))
    }

    /// The value of a key that must be there.
    pub(super) fn require(
        &mut self,
        name: &'static str,
        report: &mut Reporter<'_>,
        subject: Option<&Ref>,
    ) -> Option<&'n Node> {
        let found = self.take(name);
        if found.is_none() {
            report.error(self.span, subject, format!("`{}` has no `{name}`", self.what), format!("add `{name}:`"));
        }
        found
    }

    /// The keys that were not taken.
    pub(super) fn rest(&self) -> impl Iterator<Item = (&'n Key, &'n Node)> + '_ {
        self.entries.iter().filter(|entry| !entry.2).map(|entry| (entry.0, entry.1))
    }

    pub(super) fn span(&self) -> Span {
        self.span
    }

    /// The taken key that a word was probably meant to be.
    pub(super) fn meant(&self, word: &str) -> Option<&'static str> {
        nearest(word, self.known.iter().copied())
    }

    /// Reports every key that was not taken.
    pub(super) fn finish(self, report: &mut Reporter<'_>, subject: Option<&Ref>) {
        for (key, _) in self.rest() {
            let hint = match self.meant(&key.text) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the keys here are {}", self.known.join(", ")),
            };
            report.error(key.span, subject, format!("`{}` has no key `{}`", self.what, shorten(&key.text)), hint);
        }
    }
}

impl Decoder<'_, '_> {
    pub(super) fn error(&mut self, span: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.report.error(span, Some(&self.subject), message, hint);
    }

    pub(super) fn fields<'n>(&mut self, node: &'n Node, what: &'static str) -> Option<Fields<'n>> {
        Fields::of(node, what, self.report, Some(&self.subject))
    }

    pub(super) fn require<'n>(&mut self, fields: &mut Fields<'n>, name: &'static str) -> Option<&'n Node> {
        fields.require(name, self.report, Some(&self.subject))
    }

    pub(super) fn finish(&mut self, fields: Fields<'_>) {
        fields.finish(self.report, Some(&self.subject));
    }

    fn wrong<T>(&mut self, node: &Node, what: &str, expected: &str) -> Option<T> {
        if !matches!(node.value, Value::Withheld) {
            self.error(node.span, format!("`{what}` is {}", describe(&node.value)), format!("write {expected}"));
        }
        None
    }

    pub(super) fn text<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n str> {
        match &node.value {
            Value::Text(text) => Some(text),
            Value::Bool(_) | Value::Whole(_) | Value::Float(_) => self.wrong(node, what, "text: put it in quotes"),
            _ => self.wrong(node, what, "text"),
        }
    }

    pub(super) fn truth(&mut self, node: &Node, what: &str) -> Option<bool> {
        match node.value {
            Value::Bool(value) => Some(value),
            _ => self.wrong(node, what, "`true` or `false`"),
        }
    }

    pub(super) fn count<T: TryFrom<i64>>(&mut self, node: &Node, what: &str) -> Option<T> {
        match node.value {
            Value::Whole(value) if value > 0 => {
                let fits = T::try_from(value).ok();
                if fits.is_none() {
                    self.error(node.span, format!("`{what}` is too large"), "write a smaller number");
                }
                fits
            }
            Value::Whole(_) => {
                self.error(node.span, format!("`{what}` is below 1"), "write a whole number from 1");
                None
            }
            _ => self.wrong(node, what, "a whole number from 1"),
        }
    }

    /// `500ms`, `30s`, `5m`, `1h`, `7d`.
    pub(super) fn duration(&mut self, node: &Node, what: &str) -> Option<Duration> {
        const FORM: &str = "a whole number and its unit: 500ms, 30s, 5m, 1h or 7d";
        let Value::Text(text) = &node.value else { return self.wrong(node, what, FORM) };
        let parsed = duration(text);
        if parsed.is_none() {
            self.error(node.span, format!("`{what}` is not a duration"), format!("write {FORM}"));
        }
        parsed
    }

    pub(super) fn list<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Node] {
        match &node.value {
            Value::List(items) => items,
            _ => self.wrong(node, what, "a list: `[…]`, or lines that begin with `- `").unwrap_or(&[]),
        }
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&mut self, node: &Node, what: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(node, what)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let hint = match nearest(text, words.iter().map(|(word, _)| *word)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("write one of {}", words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ")),
            };
            self.error(node.span, format!("`{what}` cannot be `{}`", shorten(text)), hint);
        }
        found
    }

    /// A reference where only one kind makes sense: `name`, `namespace/name`, or either with the kind before it.
    pub(super) fn reference(&mut self, node: &Node, what: &str, kind: Kind) -> Option<Ref> {
        let text = self.text(node, what)?;
        let namespace = self.subject.namespace.clone();
        let with_kind = text.split_once('/').is_some_and(|(head, _)| head.parse::<Kind>().is_ok());
        let parsed = if with_kind { Ref::parse_in(&namespace, text) } else { Ref::within(kind, &namespace, text) };
        match parsed {
            Ok(to) if to.kind == kind => Some(self.used(node.span, to)),
            Ok(to) => {
                self.error(node.span, format!("`{what}` names {to}, which is a {}", to.kind), format!("name a {kind}"));
                None
            }
            Err(error) => {
                let hint = format!("write the name of a {kind}, or namespace/name");
                self.error(node.span, format!("`{what}`: {error}"), hint);
                None
            }
        }
    }

    /// A reference with its kind, of one of several kinds.
    pub(super) fn any_reference(&mut self, node: &Node, what: &str, kinds: &[Kind]) -> Option<Ref> {
        let text = self.text(node, what)?;
        let names = kinds.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
        match Ref::parse_in(&self.subject.namespace.clone(), text) {
            Ok(to) if kinds.contains(&to.kind) => Some(self.used(node.span, to)),
            Ok(to) => {
                self.error(
                    node.span,
                    format!("`{what}` names {to}, which is a {}", to.kind),
                    format!("name a {names}"),
                );
                None
            }
            Err(error) => {
                self.error(node.span, format!("`{what}`: {error}"), format!("name a {names}"));
                None
            }
        }
    }

    pub(super) fn location(&mut self, node: &Node, what: &str) -> Option<Location> {
        let text = self.text(node, what)?;
        match Location::parse_in(&self.subject.namespace.clone(), text) {
            Ok(location) => {
                self.used(node.span, location.system.clone());
                Some(location)
            }
            Err(error) => {
                self.error(node.span, format!("`{what}`: {error}"), "name a System, the path in it, and the field");
                None
            }
        }
    }

    pub(super) fn pattern(&mut self, node: &Node, what: &str) -> Option<Pattern> {
        let text = self.text(node, what)?;
        match Pattern::parse_in(&self.subject.namespace.clone(), text) {
            Ok(pattern) => {
                self.used(node.span, pattern.system.clone());
                Some(pattern)
            }
            Err(error) => {
                let hint = "write system:path, or system:prefix* for everything that begins so, without a field";
                self.error(node.span, format!("`{what}`: {error}"), hint);
                None
            }
        }
    }

    pub(super) fn name(&mut self, node: &Node, what: &str) -> Option<Name> {
        let text = self.text(node, what)?;
        Name::new(text).map_err(|error| self.error(node.span, format!("`{what}`: {error}"), "choose another name")).ok()
    }

    fn used(&mut self, span: Span, to: Ref) -> Ref {
        self.uses.push(Use { span, from: self.subject.clone(), to: to.clone() });
        to
    }
}

/// A duration as documents write it.
fn duration(text: &str) -> Option<Duration> {
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let count: u64 = text[..unit].parse().ok()?;
    let seconds = match &text[unit..] {
        "ms" => return Some(Duration::from_millis(count)),
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    // A century is more than any duration here can mean, and what comes after stays within every time type.
    count.checked_mul(seconds).filter(|seconds| *seconds <= 100 * 366 * 86_400).map(Duration::from_secs)
}

pub(super) fn describe(value: &Value) -> &'static str {
    match value {
        Value::Null => "empty",
        Value::Bool(_) => "a truth value",
        Value::Whole(_) | Value::Float(_) => "a number",
        Value::Text(_) => "text",
        Value::List(_) => "a list",
        Value::Map(_) => "a map of keys",
        Value::Withheld => "withheld",
    }
}

/// The word that a mistyped one was probably meant to be: at most two slips, and fewer than half its letters.
pub(super) fn nearest<'w>(word: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let word: Vec<char> = word.chars().take(64).flat_map(char::to_lowercase).collect();
    words
        .map(|candidate| (slips(&word, &candidate.to_lowercase()), candidate))
        .filter(|(slips, candidate)| *slips <= 2 && slips * 2 < candidate.len())
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edit distance, with two letters swapped counted as one slip.
fn slips(left: &[char], right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut previous: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut current = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let mut least = (previous[j] + usize::from(a != b)).min(previous[j + 1] + 1).min(current[j] + 1);
            if i > 0 && j > 0 && *a == right[j - 1] && left[i - 1] == *b {
                least = least.min(before[j - 1] + 1);
            }
            current.push(least);
        }
        before = std::mem::replace(&mut previous, current);
    }
    previous.last().copied().unwrap_or(0)
}

/// Keeps a message short, whatever was written.
pub(super) fn shorten(text: &str) -> String {
    let clean: String = text.chars().take(60).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().count() > 60 { clean + "…" } else { clean }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_one_number_and_one_unit() {
        assert_eq!(duration("30s"), Some(Duration::from_secs(30)));
        assert_eq!(duration("7d"), Some(Duration::from_hours(7 * 24)));
        for bad in ["", "s", "30", "1h30m", "-1s", "1.5h", "99999999999999999999s", "18446744073709551615d"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        let words = ["issuedBy", "deliveredTo", "consumedBy"];
        assert_eq!(nearest("isuedBy", words.into_iter()), Some("issuedBy"));
        assert_eq!(nearest("delievredTo", words.into_iter()), Some("deliveredTo"));
        assert_eq!(nearest("colour", words.into_iter()), None);
    }
}
