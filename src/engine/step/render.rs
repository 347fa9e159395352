//! What of a value is written where.

use std::collections::BTreeMap;

use remint_contract::{Location, Material, SecretValue};

use crate::engine::effect::Stop;
use crate::engine::step::mint::park;

/// What is written at one place, field by field.
pub(super) type Fields = BTreeMap<String, SecretValue>;

/// The fields of each destination for a material.
pub(super) fn rendered(
    places: &[remint_core::estate::Destination],
    material: &Material,
) -> Result<Vec<(Location, Fields)>, Stop> {
    let mut all = Vec::with_capacity(places.len());
    for place in places {
        let mut fields = BTreeMap::new();
        for (field, template) in &place.fields {
            let value = template
                .render(material)
                .map_err(|error| park(&format!("{}#{field} cannot be made: {error}", place.at)))?;
            fields.insert(field.clone(), value);
        }
        all.push((place.at.clone(), fields));
    }
    Ok(all)
}
