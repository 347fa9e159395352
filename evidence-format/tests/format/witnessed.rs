//! A bundle whose checkpoint witnesses signed, for somebody who trusts some of them.

use remint_evidence_format::bundle::{Bundle, Trust};
use remint_evidence_format::cosignature::Quorum;
use remint_evidence_format::report::{FindingKind, Report};

use crate::cosignature::witness;
use crate::sample::{complete, key, parts, verifier};

/// The sample story, its checkpoint signed by the log and by these witnesses.
fn seen_by(witnesses: &[u8]) -> Bundle {
    let (entries, mut checkpoint) = complete().placed();
    let text = format!("{}\n", checkpoint.split_once("\n\n").unwrap().0);
    for number in witnesses {
        checkpoint += &witness(*number).cosign(&text, 1_769_850_000 + u64::from(*number)).unwrap();
    }
    Bundle::build(&parts(&entries, &checkpoint), &key()).unwrap()
}

fn asking(bundle: &Bundle, need: usize, of: &[u8]) -> Report {
    let keys = of.iter().map(|number| witness(*number).public().clone()).collect();
    let witnesses = Some(Quorum::new(need, keys).unwrap());
    bundle.verify_with(&Trust { key: Some(verifier()), witnesses, ..Trust::default() })
}

#[test]
fn enough_witnesses_hold_and_too_few_are_a_doubt() {
    let bundle = seen_by(&[1, 2]);
    let report = asking(&bundle, 2, &[1, 2, 3]);
    assert!(report.ok, "{}", report.render());
    assert!(report.holds.iter().any(|line| line.starts_with("2 of 3 witnesses saw this tree")), "{}", report.render());
    for (need, of) in [(3, [1, 2, 3]), (2, [2, 3, 4]), (1, [3, 4, 5])] {
        let report = asking(&bundle, need, &of);
        assert!(!report.ok && report.integrity && report.origin && report.complete, "{}", report.render());
        assert_eq!(report.findings[0].kind, FindingKind::Unwitnessed);
        assert!(report.render().contains("too few witnesses saw it"), "{}", report.render());
    }
}

#[test]
fn whoever_names_no_witness_is_told_what_that_leaves_open() {
    let told = |bundle: &Bundle| bundle.verify_with(&Trust::in_key(Some(&verifier()))).limits.join("\n");
    assert!(told(&seen_by(&[])).contains("No witness signed the checkpoint"));
    assert!(told(&seen_by(&[1])).contains("1 more signatures stand under the checkpoint"));
}

#[test]
fn a_cosignature_over_another_tree_breaks_the_bundle() {
    let (entries, checkpoint) = complete().placed();
    let other = format!("{}\n", checkpoint.split_once("\n\n").unwrap().0).replacen("example", "exbmple", 1);
    let forged = checkpoint.clone() + &witness(1).cosign(&other, 1_769_850_000).unwrap();
    let bundle = Bundle::build(&parts(&entries, &forged), &key()).unwrap();
    let report = asking(&bundle, 1, &[1]);
    assert!(!report.integrity, "{}", report.render());
    assert_eq!(report.findings[0].place, "checkpoint");
}
