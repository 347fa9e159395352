//! A set of roles at the server: a group and two login roles each, the first in use.

use std::fmt::Write as _;
use std::time::Instant;

use crate::Outcome;
use crate::server::{Login, Server};

/// Roles of one round.
pub(super) struct Roles {
    pub(super) prefix: String,
    /// What Remint, or the plain client, acts with.
    pub(super) admin: Login,
    /// The group of each role, and the login in use.
    pub(super) logins: Vec<(String, Login)>,
}

impl Roles {
    pub(super) async fn create(server: &Server, prefix: &str, count: usize) -> Outcome<Self> {
        let login = |user: String| {
            let password = format!("Old-{user}-{:x}", Instant::now().elapsed().as_nanos());
            Login { user, password }
        };
        let admin = login(format!("{prefix}adm_a"));
        let mut sql = format!(
            "CREATE ROLE {prefix}adm NOLOGIN SUPERUSER;
             CREATE ROLE {0} LOGIN PASSWORD '{1}' IN ROLE {prefix}adm; ALTER ROLE {0} SET role = '{prefix}adm';",
            admin.user, admin.password
        );
        let mut logins = Vec::with_capacity(count);
        for index in 0..count {
            let group = format!("{prefix}{index:04}");
            let login = login(format!("{group}_a"));
            write!(
                sql,
                "CREATE ROLE {group} NOLOGIN; CREATE ROLE {0} LOGIN PASSWORD '{1}' IN ROLE {group};
                 CREATE ROLE {group}_b NOLOGIN IN ROLE {group};
                 ALTER ROLE {0} SET role = '{group}'; ALTER ROLE {group}_b SET role = '{group}';",
                login.user, login.password
            )?;
            logins.push((group, login));
        }
        server.run(sql).await?;
        Ok(Self { prefix: prefix.to_owned(), admin, logins })
    }

    pub(super) async fn drop(&self, server: &Server) -> Outcome<()> {
        let mut sql = format!("DROP ROLE {}, {}adm;", self.admin.user, self.prefix);
        for (group, _) in &self.logins {
            write!(sql, "DROP ROLE {group}_a, {group}_b, {group};")?;
        }
        server.run(sql).await
    }
}
