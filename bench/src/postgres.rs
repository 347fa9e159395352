//! `bench postgres`: roles rotated by Remint, beside a plain client that does as many logins and statements.
//!
//! Flow: a set of roles for each → Remint plans and carries out one reset over the first → the server's log is counted →
//! the plain client does the same number over the second. Several rounds; the one with the median ratio is told.
//! What is counted is counted in the server's log, never by Remint.

mod estate;
mod log;
mod plain;
mod roles;

use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;

use crate::Outcome;
use crate::server::Server;
use roles::Roles;

/// What a person may choose.
struct Options {
    roles: usize,
    concurrency: usize,
    rounds: usize,
    json: bool,
}

/// One round.
#[derive(Serialize)]
struct Report {
    roles: usize,
    concurrency: usize,
    rounds: usize,
    seconds_remint: f64,
    seconds_plain: f64,
    ratio_plain: f64,
    logins_per_rotation: f64,
    statements_per_rotation: f64,
    commits_per_rotation: f64,
    logins: log::Logins,
    plain: Plain,
}

/// The baseline, counted in the same way.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are those of the report")]
struct Plain {
    logins_per_rotation: f64,
    statements_per_rotation: f64,
    commits_per_rotation: f64,
}

/// Runs it and prints the report.
pub(crate) fn run(arguments: &[String]) -> Outcome<()> {
    let options = Options::read(arguments)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut reports = Vec::new();
    for number in 0..options.rounds {
        reports.push(runtime.block_on(round(&options, number))?);
    }
    reports.sort_by(|one, other| one.ratio_plain.total_cmp(&other.ratio_plain));
    let report = reports.swap_remove(reports.len() / 2);
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!(
            "{} roles, {} at once: Remint {:.2} s, plain {:.2} s, ratio {:.2}; {:.2} logins and {:.1} statements a rotation",
            report.roles,
            report.concurrency,
            report.seconds_remint,
            report.seconds_plain,
            report.ratio_plain,
            report.logins_per_rotation,
            report.statements_per_rotation
        );
    }
    Ok(())
}

async fn round(options: &Options, number: usize) -> Outcome<Report> {
    let server = Server::find()?;
    let log = log_file()?;
    let mine = Roles::create(&server, &format!("r{number}_"), options.roles).await?;
    let others = Roles::create(&server, &format!("p{number}_"), options.roles).await?;
    let bank = estate::Bank::open(&server, &mine, options.concurrency).await?;

    let before = log::end(&log)?;
    let began = Instant::now();
    bank.rotate().await?;
    let remint = began.elapsed().as_secs_f64();
    drop(bank);
    let counts = log::count(&log, before, &mine)?;

    let before = log::end(&log)?;
    let began = Instant::now();
    plain::rotate(&server, &others, options.concurrency, &counts).await?;
    let plain = began.elapsed().as_secs_f64();
    let same = log::count(&log, before, &others)?;
    mine.drop(&server).await?;
    others.drop(&server).await?;
    let per = |counts: usize| ratio(counts, options.roles);
    Ok(Report {
        roles: options.roles,
        concurrency: options.concurrency,
        rounds: options.rounds,
        seconds_remint: remint,
        seconds_plain: plain,
        ratio_plain: remint / plain,
        logins_per_rotation: per(counts.logins.total()),
        statements_per_rotation: per(counts.statements),
        commits_per_rotation: per(counts.commits),
        logins: counts.logins.clone(),
        plain: Plain {
            logins_per_rotation: per(same.logins.total()),
            statements_per_rotation: per(same.statements),
            commits_per_rotation: per(same.commits),
        },
    })
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are small")]
fn ratio(count: usize, of: usize) -> f64 {
    count as f64 / of as f64
}

#[expect(clippy::disallowed_methods, reason = "a benchmark is told where its server is")]
fn log_file() -> Outcome<PathBuf> {
    let path = std::env::var("REMINT_BENCH_POSTGRES_LOG");
    Ok(path.map_err(|_| "REMINT_BENCH_POSTGRES_LOG is not set; run `cargo xtask bench postgres`")?.into())
}

impl Options {
    fn read(arguments: &[String]) -> Outcome<Self> {
        let mut options = Self { roles: 200, concurrency: 16, rounds: 3, json: false };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("`{word}` needs a value"))?;
            let number = || value.parse::<usize>().ok().filter(|number| *number > 0);
            let wrong = || format!("`{word} {value}`: write a number above zero");
            match word.as_str() {
                "-o" | "--output" if value == "json" || value == "table" => options.json = value == "json",
                "--roles" => options.roles = number().ok_or_else(wrong)?,
                "--concurrency" => options.concurrency = number().ok_or_else(wrong)?,
                "--rounds" => options.rounds = number().ok_or_else(wrong)?,
                _ => {
                    let known = "-o json|table, --roles N, --concurrency N, --rounds N";
                    return Err(format!("`{word} {value}` is not known; there is: {known}").into());
                }
            }
        }
        Ok(options)
    }
}
