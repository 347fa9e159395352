//! The database side: group roles with two login roles each, delivered to one file each, and the login that Remint acts
//! with, which lies in a folder of its own.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::Outcome;
use crate::server::{Login, Server};

/// The roles of one run.
pub(crate) struct Roles {
    pub(crate) server: Server,
    pub(crate) prefix: String,
    pub(crate) count: usize,
    folder: PathBuf,
    /// Login roles that were there before: credentials that no reset touches.
    others: Vec<String>,
}

impl Roles {
    /// Makes them, and the files with their first logins.
    pub(crate) async fn create(server: Server, prefix: String, count: usize, folder: &Path) -> Outcome<Self> {
        let others = server.texts("SELECT rolname::text FROM pg_roles WHERE rolcanlogin".to_owned()).await?;
        let roles = Self { server, prefix, count, folder: folder.to_owned(), others };
        let version = roles.server.texts("SELECT current_setting('server_version_num')".to_owned()).await?;
        let old =
            version.first().and_then(|version| version.parse::<u32>().ok()).is_some_and(|number| number < 160_000);
        for name in ["apps", "keep"] {
            std::fs::create_dir_all(folder.join(name))?;
        }
        let admin = Login { user: format!("{}_a", roles.admin()), password: "OldOldOldOld-admin".to_owned() };
        let mut sql = format!(
            "CREATE ROLE {group} NOLOGIN {rights} IN ROLE pg_signal_backend, pg_read_all_stats;
             CREATE ROLE {user} LOGIN PASSWORD '{password}' IN ROLE {group};
             ALTER ROLE {user} SET role = '{group}';",
            group = roles.admin(),
            rights = if old { "CREATEROLE" } else { "SUPERUSER" },
            user = admin.user,
            password = admin.password,
        );
        write(&roles.admin_file(), &admin)?;
        for index in 0..count {
            let group = roles.group(index);
            let login = Login { user: format!("{group}_a"), password: format!("OldOldOldOld-{index}") };
            write!(
                sql,
                "CREATE ROLE {group} NOLOGIN;
                 CREATE ROLE {user} LOGIN PASSWORD '{password}' IN ROLE {group};
                 CREATE ROLE {group}_b NOLOGIN IN ROLE {group};
                 ALTER ROLE {user} SET role = '{group}'; ALTER ROLE {group}_b SET role = '{group}';",
                user = login.user,
                password = login.password
            )?;
            write(&roles.file(index), &login)?;
        }
        roles.server.run(sql).await?;
        Ok(roles)
    }

    /// Removes every role of the run.
    pub(crate) async fn drop(&self) -> Outcome<()> {
        let names = self.names().await?;
        self.server.run(names.iter().rev().fold(String::new(), |sql, name| sql + "DROP ROLE \"" + name + "\";")).await
    }

    /// Every role whose name is of this run.
    pub(crate) async fn names(&self) -> Outcome<Vec<String>> {
        let sql = format!("SELECT rolname::text FROM pg_roles WHERE rolname LIKE '{}%' ORDER BY 1", self.prefix);
        self.server.texts(sql).await
    }

    /// Of those, the ones that may log in.
    pub(crate) async fn logins(&self) -> Outcome<Vec<String>> {
        let like = format!("rolcanlogin AND rolname LIKE '{}%'", self.prefix);
        self.server.texts(format!("SELECT rolname::text FROM pg_roles WHERE {like} ORDER BY 1")).await
    }

    pub(crate) fn admin(&self) -> String {
        format!("{}adm", self.prefix)
    }

    pub(crate) fn admin_file(&self) -> PathBuf {
        self.folder.join("keep/pg-admin.json")
    }

    pub(crate) fn group(&self, index: usize) -> String {
        format!("{}{index:02}", self.prefix)
    }

    /// The delivered file of a role.
    pub(crate) fn file(&self, index: usize) -> PathBuf {
        self.folder.join("apps").join(format!("c{index:02}.json"))
    }

    /// Each group role with the file that its login is delivered to.
    pub(crate) fn delivered(&self) -> Vec<(String, PathBuf)> {
        let roles = (0..self.count).map(|index| (self.group(index), self.file(index)));
        roles.chain([(self.admin(), self.admin_file())]).collect()
    }

    /// Files that nothing names: what a write left behind when it was cut off.
    pub(crate) fn strays(&self) -> Outcome<Vec<String>> {
        let known: Vec<PathBuf> = self.delivered().into_iter().map(|(_, file)| file).collect();
        let mut strays = Vec::new();
        for folder in ["apps", "keep"] {
            for entry in std::fs::read_dir(self.folder.join(folder))? {
                let path = entry?.path();
                // The record of promoted versions and the lock are kept, and hold no value.
                let kept = path.to_string_lossy().ends_with("remint-promoted")
                    || path.to_string_lossy().ends_with("remint-lock");
                if !known.contains(&path) && !kept {
                    strays.push(path.display().to_string());
                }
            }
        }
        Ok(strays)
    }

    /// The credentials that no reset touches.
    pub(crate) fn except(&self) -> Vec<String> {
        (0..self.others.len()).map(|number| format!("Credential/other-{number}")).collect()
    }

    /// The documents.
    pub(crate) fn documents(&self) -> Outcome<String> {
        let (address, prefix) = (&self.server.address, &self.prefix);
        let mut text = format!(
            r#"apiVersion: remint.dev/v1alpha1
kind: System
metadata: {{name: pg}}
spec:
  sql: {{url: "postgres://{address}/postgres"}}
  auth: {{credential: pg-admin}}
  budget: {{concurrency: 16}}
---
apiVersion: remint.dev/v1alpha1
kind: System
metadata: {{name: apps}}
spec: {{file: {{root: "{}"}}}}
---
apiVersion: remint.dev/v1alpha1
kind: System
metadata: {{name: keep}}
spec: {{file: {{root: "{}"}}}}
---
apiVersion: remint.dev/v1alpha1
kind: Identity
metadata: {{name: database}}
spec: {{class: workload, tier: standard, owners: {{business: b, policy: p, execution: e}}}}
---
apiVersion: remint.dev/v1alpha1
kind: Credential
metadata: {{name: pg-admin}}
spec:
  type: database-login
  identity: database
  issuedBy: {{system: pg, target: {prefix}adm}}
  deliveredTo: [{{at: "keep:pg-admin.json", fields: {{user: "{{username}}", password: "{{secret}}"}}}}]
  unlocks: [{{what: System/pg, verb: admin}}]
  rotation: {{strategy: alternate}}
"#,
            self.folder.join("apps").display(),
            self.folder.join("keep").display(),
        );
        for (number, name) in self.others.iter().enumerate() {
            let name = serde_json::to_string(name)?;
            write!(
                text,
                "---\napiVersion: remint.dev/v1alpha1\nkind: Credential\nmetadata: {{name: other-{number}}}\nspec:\n  type: database-login\n  identity: database\n  issuedBy: {{system: pg, target: {name}}}\n  rotation: {{strategy: manual}}\n"
            )?;
        }
        for index in 0..self.count {
            write!(
                text,
                r#"---
apiVersion: remint.dev/v1alpha1
kind: Credential
metadata: {{name: c{index:02}}}
spec:
  type: database-login
  identity: database
  issuedBy: {{system: pg, target: {prefix}{index:02}}}
  deliveredTo: [{{at: "apps:c{index:02}.json", fields: {{user: "{{username}}", password: "{{secret}}"}}}}]
  consumedBy: [w{index:02}]
  begets: {{sessions: 1h}}
  rotation: {{strategy: alternate}}
---
apiVersion: remint.dev/v1alpha1
kind: Workload
metadata: {{name: w{index:02}}}
spec:
  reload: none
  confirm: {{how: issuer-seen, source: w{index:02}, within: 60s}}
"#
            )?;
        }
        Ok(text)
    }
}

fn write(file: &Path, login: &Login) -> Outcome<()> {
    let text = serde_json::json!({ "user": login.user, "password": login.password }).to_string();
    Ok(std::fs::write(file, text)?)
}
