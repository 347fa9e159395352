//! When a schedule comes, against another reading of the same words, and against the meaning spelled out.

#[cfg(test)]
mod schedule {
    mod days;
    mod oracle;
    mod spelled;
}
