//! Where the database is: `postgres://user@host:port/database`, without a password.
//!
//! The password comes from the file named by `password_file=` in the address (a mounted secret: the password and nothing
//! else), or else from where every PostgreSQL client looks: `PGPASSFILE` or `~/.pgpass`, or `PGPASSWORD`.

use std::path::PathBuf;
use std::str::FromStr as _;

use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use zeroize::Zeroizing;

use super::broken;
use crate::store::StoreError;

/// An address that was read and found good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Without the password file.
    url: String,
    password_file: Option<PathBuf>,
}

/// Why an address is none. Never repeats it: it may hold what should not be there.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AddressError {
    #[error("the store's address must be postgres://user@host:port/database")]
    Form,
    #[error(
        "no password may stand in the store's address, where everybody can read it; name a file with ?password_file=PATH, or use PGPASSFILE"
    )]
    Password,
}

impl std::str::FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let rest = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"));
        let rest = rest.ok_or(AddressError::Form)?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let user = place.rsplit_once('@').map_or("", |(user, _)| user);
        let mut kept = Vec::new();
        let mut password_file = None;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or(AddressError::Form)?;
            match key {
                "password_file" => password_file = Some(PathBuf::from(value)),
                _ if key.eq_ignore_ascii_case("password") => return Err(AddressError::Password),
                _ => kept.push(pair),
            }
        }
        if user.contains(':') {
            return Err(AddressError::Password);
        }
        let mut url = format!("postgres://{place}");
        if !kept.is_empty() {
            url.push('?');
            url.push_str(&kept.join("&"));
        }
        PgConnectOptions::from_str(&url).map_err(|_| AddressError::Form)?;
        Ok(Self { url, password_file })
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.url)
    }
}

impl Address {
    /// How to log in. The password file is read each time: a password that was rotated is taken up by the next login.
    /// Statements are not logged.
    pub(super) fn options(&self) -> Result<PgConnectOptions, StoreError> {
        let options = PgConnectOptions::from_str(&self.url).map_err(broken("has an address that cannot be read"))?;
        let options = options.application_name("remint-store").disable_statement_logging();
        let Some(file) = &self.password_file else { return Ok(options) };
        let password = std::fs::read_to_string(file).map(Zeroizing::new).map_err(|source| StoreError::Broken {
            what: format!("has a password file {} that cannot be read", file.display()),
            source: Some(Box::new(source)),
        })?;
        Ok(options.password(password.trim_end_matches(['\r', '\n'])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_the_address_is_refused_and_not_repeated() {
        for text in ["postgres://boss:marker-4711@db/remint", "postgres://boss@db/remint?password=marker-4711"] {
            let refused = text.parse::<Address>().unwrap_err();
            assert_eq!(refused, AddressError::Password);
            assert!(!refused.to_string().contains("marker"));
        }
    }

    #[test]
    fn the_password_file_is_ours_and_the_rest_is_the_servers() {
        let address: Address = "postgres://boss@db/remint?password_file=/run/pg&sslmode=require".parse().unwrap();
        assert_eq!(address.to_string(), "postgres://boss@db/remint?sslmode=require");
        assert_eq!(address.password_file, Some(PathBuf::from("/run/pg")));
        assert_eq!("sqlite:/x".parse::<Address>().unwrap_err(), AddressError::Form);
    }
}
