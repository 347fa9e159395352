//! The whole file is the one field `value`, byte for byte.

use remint_contract::{SecretValue, WHOLE};
use zeroize::Zeroizing;

use super::{Fields, Problem};

pub(super) fn set(fields: &Fields) -> Result<Zeroizing<Vec<u8>>, Problem> {
    if let Some(field) = fields.keys().find(|field| *field != WHOLE) {
        return Err(Problem::Field {
            field: field.clone(),
            why: "a plain file has one field, `value`; write no `#field`, or give the file an extension such as .env, .json or .yaml",
        });
    }
    let value = fields.get(WHOLE).map_or(&[][..], SecretValue::expose);
    Ok(Zeroizing::new(value.to_vec()))
}

pub(super) fn read(content: &[u8]) -> Fields {
    Fields::from([(WHOLE.to_owned(), SecretValue::new(content.to_vec()))])
}
