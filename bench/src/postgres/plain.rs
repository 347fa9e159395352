//! The baseline: a plain client that gives each role its other login, with as many logins and statements as Remint.

use futures::stream::{self, TryStreamExt as _};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _};
use tokio::sync::Mutex;

use super::log::Counts;
use super::roles::Roles;
use crate::Outcome;
use crate::server::{Login, Server};

/// A look at a role, as any tool takes it.
const LOOK: &str = "SELECT rolname::text FROM pg_roles WHERE rolname = $1";

/// Rotates every role.
pub(super) async fn rotate(server: &Server, roles: &Roles, concurrency: usize, same: &Counts) -> Outcome<()> {
    let count = roles.logins.len();
    // Remint's statements of one rotation, less those that are below by name.
    let looks = (same.statements / count).saturating_sub(9);
    let befores = same.logins.old_accepted_before / count;
    let idle = Mutex::new(Vec::new());
    for _ in 0..same.logins.acting {
        idle.lock().await.push(server.connect(&roles.admin).await?);
    }
    stream::iter(roles.logins.iter().map(Ok::<_, Box<dyn std::error::Error + Send + Sync>>))
        .try_for_each_concurrent(concurrency, |(group, old)| {
            let idle = &idle;
            async move {
                let new = Login { user: format!("{group}_b"), password: format!("New-{}", old.password) };
                for _ in 0..befores {
                    server.connect(old).await?.close().await?;
                }
                let taken = idle.lock().await.pop();
                let mut admin = match taken {
                    Some(admin) => admin,
                    None => server.connect(&roles.admin).await?,
                };
                for _ in 0..looks {
                    sqlx::query(LOOK).bind(group).execute(&mut admin).await?;
                }
                let password = format!("ALTER ROLE {} LOGIN PASSWORD '{}'", new.user, new.password);
                change(&mut admin, password, format!("COMMENT ON ROLE {} IS 'rotated'", new.user)).await?;
                let mut session = server.connect(&new).await?;
                sqlx::query(LOOK).bind(group).execute(&mut session).await?;
                session.close().await?;
                let end =
                    format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{}'", old.user);
                change(&mut admin, format!("ALTER ROLE {} NOLOGIN PASSWORD NULL", old.user), end).await?;
                idle.lock().await.push(admin);
                for _ in 0..2 {
                    if server.connect(old).await.is_ok() {
                        return Err(format!("{} is accepted still", old.user).into());
                    }
                }
                server.connect(&new).await?.close().await?;
                Ok(())
            }
        })
        .await
}

async fn change(admin: &mut PgConnection, first: String, second: String) -> Result<(), sqlx::Error> {
    for statement in ["BEGIN".to_owned(), first, second, "COMMIT".to_owned()] {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *admin).await?;
    }
    Ok(())
}
