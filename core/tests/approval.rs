//! What it takes, and whether it was met: obligations, cases, and the table of persons.

#[cfg(test)]
mod approval {
    mod case;
    mod obligations;
    mod sequences;
    mod table;
}
