//! What the policies of a team come to: decisions, refusals of whole sets, and the table of the documentation.

#[cfg(test)]
mod policy {
    mod decisions;
    mod sets;
    mod speed;
    mod table;
    pub(crate) mod team;
}
