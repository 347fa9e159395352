//! libsodium's sealed box: only the holder of the other half of the key reads what is in it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_box::PublicKey;
use crypto_box::aead::OsRng;
use remint_contract::{Error, ErrorKind, Verb};

/// Seals a value to a public key; both ends are base64.
///
/// The box has a key pair of its own, thrown away at once: nobody who seals can open, and no two boxes are alike.
pub(crate) fn seal(verb: Verb, key: &str, value: &[u8]) -> Result<String, Error> {
    let invalid = |message: &'static str| Error::new(ErrorKind::Invalid, verb, message);
    let key = STANDARD.decode(key).ok().and_then(|key| <[u8; 32]>::try_from(key).ok());
    let key = PublicKey::from(key.ok_or_else(|| invalid("the vendor's public key is no key of 32 bytes"))?);
    let sealed = key.seal(&mut OsRng, value).map_err(|_| invalid("the value could not be sealed"))?;
    Ok(STANDARD.encode(sealed))
}

#[cfg(test)]
mod tests {
    use crypto_box::SecretKey;

    use super::*;

    #[test]
    fn only_the_holder_of_the_key_opens_the_box() {
        let (ours, other) = (SecretKey::generate(&mut OsRng), SecretKey::generate(&mut OsRng));
        let key = STANDARD.encode(ours.public_key().as_bytes());
        let boxes = [(); 2].map(|()| seal(Verb::Write, &key, b"value-marker-4711").unwrap());
        assert_ne!(boxes[0], boxes[1]);
        let sealed = STANDARD.decode(&boxes[0]).unwrap();
        assert_eq!(ours.unseal(&sealed).unwrap(), b"value-marker-4711");
        assert!(other.unseal(&sealed).is_err());
        assert_eq!(seal(Verb::Write, "c2hvcnQ=", b"x").unwrap_err().kind, ErrorKind::Invalid);
    }
}
