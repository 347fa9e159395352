//! The calendar of windows: what opens when, what was missed, and whose turn it is.

#[cfg(test)]
mod calendar {
    #[path = "../estate/kinds.rs"]
    #[allow(dead_code, reason = "the other tests need the rest of it")]
    mod kinds;
    mod openings;
    mod random;
    mod whose;

    use jiff::Timestamp;
    use remint_core::calendar::Window;
    use remint_core::estate::Estate;

    /// The only window of an estate.
    fn window(estate: &Estate) -> Window {
        let (name, document) = estate.windows.first_key_value().unwrap();
        Window::new(name.clone(), document.clone()).unwrap()
    }

    /// An estate with one window of this spec, and these credentials: names with the rest of their specs.
    fn estate(spec: &str, credentials: &[(&str, &str)]) -> Estate {
        let mut text = kinds::ground() + &kinds::document("RotationWindow", "night", spec);
        for (name, rest) in credentials {
            let spec = format!(
                "{{type: key, identity: app, issuedBy: {{system: issuer, target: {name}}}, \
                 deliveredTo: [{{at: \"host:{name}#KEY\"}}], consumedBy: [web]{rest}}}"
            );
            text += &kinds::document("Credential", name, &spec);
        }
        kinds::good(&text)
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }
}
