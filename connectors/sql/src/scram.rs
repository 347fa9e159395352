//! The SCRAM-SHA-256 verifier of a password (RFC 5803), made here so that the server never sees, and never logs, the
//! password itself.

use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remint_contract::SecretValue;

const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).unwrap();

/// What `ALTER ROLE … PASSWORD` takes. `None` when the password is empty or not printable ASCII: such text would have to
/// be normalised first, and two clients may do that differently.
pub(crate) fn verifier(password: &SecretValue, salt: [u8; 16]) -> Option<String> {
    let bytes = password.expose();
    if bytes.is_empty() || !bytes.iter().all(|byte| (0x20..0x7f).contains(byte)) {
        return None;
    }
    let mut salted = [0_u8; digest::SHA256_OUTPUT_LEN];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ITERATIONS, &salt, bytes, &mut salted);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
    let client = hmac::sign(&key, b"Client Key");
    let stored = digest::digest(&digest::SHA256, client.as_ref());
    let server = hmac::sign(&key, b"Server Key");
    Some(format!(
        "SCRAM-SHA-256${ITERATIONS}:{}${}:{}",
        STANDARD.encode(salt),
        STANDARD.encode(stored),
        STANDARD.encode(server)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_printable_ascii_gets_a_verifier() {
        assert!(verifier(&SecretValue::from("p a$$'w\"ord"), [7; 16]).is_some());
        for refused in ["", "pässword", "tab\there", "nul\0"] {
            assert!(verifier(&SecretValue::from(refused), [7; 16]).is_none(), "{refused:?}");
        }
    }

    #[test]
    fn the_verifier_has_the_servers_form_and_not_the_password() {
        let text = verifier(&SecretValue::from("marker-4711"), [0; 16]).unwrap();
        assert!(text.starts_with("SCRAM-SHA-256$4096:AAAAAAAAAAAAAAAAAAAAAA==$"), "{text}");
        assert!(!text.contains("marker"));
    }
}
