//! The estate as its users meet it: text in, typed documents or problems out.

#[cfg(test)]
mod estate {
    mod apart;
    mod around;
    mod crafted;
    mod examples;
    mod history;
    mod hostile;
    pub(crate) mod kinds;
    mod problems;
    mod secrets;
}
