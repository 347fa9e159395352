//! `--contain SELECTOR`.

use remint_core::estate::Tier;
use remint_core::plan::Selector;

use super::small::empty;
use crate::world::cred;

fn selects(text: &str) -> bool {
    let mut make = empty();
    make.identity("someone", Tier::Privileged);
    make.credential("key", "i0", &["s0:key"], &[]).meta.labels.insert("team".into(), "pay".into());
    text.parse::<Selector>().unwrap().matches(&make.0, &make.0.credentials[&cred("key")])
}

#[test]
fn a_selector_selects_when_all_of_its_terms_hold() {
    for text in ["*", "name=key", "identity=someone", "tier=privileged", "kind=api-key", "team=pay"] {
        assert!(selects(text), "{text}");
    }
    assert!(selects("name=key,tier=privileged,team=pay"));
    for text in ["name=other", "identity=other", "tier=standard", "kind=token", "team=other", "name=key,team=other"] {
        assert!(!selects(text), "{text}");
    }
}

#[test]
fn a_selector_is_written_as_it_was_read() {
    for text in ["*", "name=key", "identity=ci,tier=privileged"] {
        assert_eq!(text.parse::<Selector>().unwrap().to_string(), text);
    }
}

#[test]
fn what_is_no_selector_is_refused_with_an_example() {
    for text in ["", "name", "name=", "=key", "name=key,"] {
        assert_eq!(
            text.parse::<Selector>().unwrap_err().to_string(),
            format!(
                "`{text}` is not a selector: write `*`, or key=value joined by commas, like \
                 identity=ci,tier=privileged"
            )
        );
    }
}
