//! Looking before anything is touched: `graph`, `reach`, `plan`. None of them changes anything; all of them work on files
//! alone, without a state.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use remint_contract::{HostRules, Location, Ref};
use remint_core::estate::Estate;
use remint_core::graph::{Graph as Built, draw, reach};
use remint_core::machine::State;
use remint_core::plan::{Node, Plan as Planned, Refusal, Request, plan, render_plan, render_reach, to_json};
use serde_json::json;

use crate::app::{App, AppError, load_paths};
use crate::cli::output::{counted, data, json, next, say};
use crate::cli::{Exit, Failure, Session};
use crate::engine::EngineSettings;
use crate::evidence::acts::{self, Act};

/// The documents to look at: files, or the active estate.
#[derive(Debug, Args)]
struct Source {
    /// Files and folders of documents; the active estate when none is named
    paths: Vec<PathBuf>,
}

impl Source {
    /// True when files are looked at: no state, and so no daemon, is asked.
    fn named(&self) -> bool {
        !self.paths.is_empty()
    }

    async fn estate(&self, session: &Session) -> Result<Estate, Failure> {
        if !self.paths.is_empty() {
            return Ok(load_paths(&self.paths, &*session.kinds)?.estate);
        }
        let app = match session.open(HostRules::default(), EngineSettings::default()).await {
            Err(AppError::NotInitialised(state)) => {
                let state = state.display();
                return Err(Failure::usage(format!(
                    "no folder of documents is named, and {state} holds no remint state; name a folder, as in: \
                     remint reach PATH --from Workload/NAME"
                )));
            }
            opened => opened?,
        };
        let active = app.engine.active_estate().await?.map(Arc::unwrap_or_clone);
        active.ok_or_else(|| Failure::usage("no estate is active; name a folder, or: remint estate activate PATH"))
    }
}

#[derive(Debug, Args)]
pub(super) struct Graph {
    #[command(flatten)]
    source: Source,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Mark what is reached from here
    #[arg(long, value_name = "REF")]
    from: Vec<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Svg,
    Dot,
    Mermaid,
    Json,
}

impl Graph {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let estate = self.source.estate(session).await?;
        self.show(session, &estate)
    }

    /// True when no state is needed.
    pub(super) fn of_files(&self) -> bool {
        self.source.named()
    }

    pub(super) fn show(&self, session: &Session, estate: &Estate) -> Result<Exit, Failure> {
        let graph = Built::build(estate);
        let from = starts(&graph, &self.from)?;
        let reached = reach(&graph, &from);
        if session.json() {
            json(&draw::json(&graph, &reached))?;
            return Ok(Exit::Done);
        }
        let picture = match self.format {
            Format::Text => draw::text(&graph, &reached),
            Format::Svg => draw::svg(&graph, &reached),
            Format::Dot => draw::dot(&graph, &reached),
            Format::Mermaid => draw::mermaid(&graph, &reached),
            Format::Json => draw::json(&graph, &reached).to_string(),
        };
        data(&picture);
        Ok(Exit::Done)
    }
}

#[derive(Debug, Args)]
pub(super) struct Reach {
    #[command(flatten)]
    source: Source,
    /// A compromised node, as Kind/name, or a place, as system:path
    #[arg(long, required = true, value_name = "REF")]
    from: Vec<String>,
    /// Every estate that was active between these two moments, as RFC 3339; needs a state
    #[arg(long, num_args = 2, value_names = ["FROM", "TO"])]
    between: Vec<Timestamp>,
}

impl Reach {
    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let estate = if let [from, to] = self.between.as_slice() {
            let app = session.open(HostRules::default(), EngineSettings::default()).await?;
            app.history().await?.union(*from, *to)
        } else {
            self.source.estate(session).await?
        };
        self.show(session, &estate)
    }

    /// True when no state is needed.
    pub(super) fn of_files(&self) -> bool {
        self.source.named() && self.between.is_empty()
    }

    /// Refuses what a daemon is not asked.
    pub(super) fn at_a_daemon(&self) -> Result<(), Failure> {
        if self.between.is_empty() {
            return Ok(());
        }
        Err(Failure::usage("--between reads the history of a state; run it where the state is, without --server"))
    }

    pub(super) fn show(&self, session: &Session, estate: &Estate) -> Result<Exit, Failure> {
        let graph = Built::build(estate);
        let from = starts(&graph, &self.from)?;
        let reached = reach(&graph, &from).explain(&graph);
        let nodes = nodes(&self.from)?;
        let dirty = dirty(estate, &nodes, session);
        if session.json() {
            let reached: Vec<_> = reached
                .iter()
                .map(|one| {
                    let path: Vec<String> = one.path.iter().map(ToString::to_string).collect();
                    json!({ "ref": one.node.to_string(), "path": path, "verb": one.verb })
                })
                .collect();
            json(&json!({ "from": self.from, "reached": reached, "dirty": dirty }))?;
            return Ok(Exit::Done);
        }
        data(&render_reach(&reached));
        let credentials = reached.iter().filter(|one| one.node.to_string().starts_with("Credential/")).count();
        let among = format!("reached; credentials among them: {credentials}");
        say(&counted(reached.len(), &format!("node {among}"), &format!("nodes {among}")));
        next(&format!(
            "remint plan PATH {}",
            self.from.iter().map(|from| format!("--from {from}")).collect::<Vec<_>>().join(" ")
        ));
        Ok(Exit::Done)
    }
}

/// The nodes that a plan would hold dirty.
fn dirty(estate: &Estate, from: &[Node], session: &Session) -> BTreeSet<String> {
    let request = Request::new(from.to_vec());
    match plan(estate, &request, &*session.kinds, session.context.clock.now()) {
        Ok(plan) => plan.dirty.iter().map(ToString::to_string).collect(),
        // Reach answers for an estate that cannot be planned, too: what is dirty then is at least where he started.
        Err(_) => from.iter().map(ToString::to_string).collect(),
    }
}

/// What a reset is about, as flags.
#[derive(Debug, Clone, Args)]
pub(super) struct Scope {
    /// A compromised node, as Kind/name, or a place, as system:path
    #[arg(long, value_name = "REF")]
    pub(super) from: Vec<String>,
    /// Kill these first and replace them after: `*`, or key=value joined by commas (identity, tier, name, kind, label)
    #[arg(long, value_name = "SELECTOR")]
    contain: Option<String>,
    /// Leave this credential as it is, on your word
    #[arg(long, value_name = "REF")]
    except: Vec<String>,
    /// This node is clean already
    #[arg(long, value_name = "REF")]
    clean: Vec<String>,
    /// Everything must be dead by then, as RFC 3339: waits that do not fit are dropped and marked exposed
    #[arg(long, value_name = "TIME")]
    deadline: Option<Timestamp>,
    /// How many may park before no further wave starts
    #[arg(long, default_value_t = 0, value_name = "N")]
    failure_budget: usize,
}

impl Scope {
    /// As a daemon is asked.
    pub(super) fn body(&self) -> serde_json::Value {
        json!({
            "from": self.from, "contain": self.contain, "except": self.except, "clean": self.clean,
            "deadline": self.deadline, "failureBudget": self.failure_budget,
        })
    }

    /// Plans from an estate, with what a state knows of earlier rotations.
    pub(super) async fn plan(&self, session: &Session, estate: &Estate, app: &App) -> Result<Planned, Failure> {
        let excepted = app.engine.excepted().await?.into_keys().collect();
        self.planned(session, estate, known(app).await?, excepted)
    }

    fn planned(
        &self,
        session: &Session,
        estate: &Estate,
        known_destinations: BTreeMap<Ref, BTreeSet<Location>>,
        excepted: BTreeSet<Ref>,
    ) -> Result<Planned, Failure> {
        if self.from.is_empty() {
            return Err(Failure::usage(
                "say where the attacker is: --from Workload/NAME (or another node; several are fine)",
            ));
        }
        let mut request = Request::new(nodes(&self.from)?);
        request.contain = self
            .contain
            .as_ref()
            .map(|text| text.parse())
            .transpose()
            .map_err(|error| Failure::new(Exit::Usage, error))?;
        request.clean = nodes(&self.clean)?.into_iter().collect();
        request.exceptions =
            crate::app::refs(&self.except).map_err(|error| Failure::new(Exit::Usage, error))?.into_iter().collect();
        request.exceptions.extend(excepted);
        request.deadline = self.deadline;
        request.known_destinations = known_destinations;
        request.failure_budget = self.failure_budget;
        plan(estate, &request, &*session.kinds, session.context.clock.now()).map_err(|refusals| {
            let text = refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  ");
            let unknown = refusals.iter().all(|refusal| matches!(refusal, Refusal::UnknownStart(_)));
            let exit = if unknown { Exit::Usage } else { Exit::Refused };
            Failure::new(exit, format!("there is no plan:\n  {text}"))
        })
    }
}

/// Where each credential lay when it last settled.
async fn known(app: &App) -> Result<BTreeMap<Ref, BTreeSet<Location>>, Failure> {
    let mut known = BTreeMap::new();
    for reset in app.engine.resets().await? {
        for record in app.engine.rotations(&reset.id).await? {
            if matches!(record.rotation.state, State::Settled { .. }) {
                let member = &reset.plan.members[record.index];
                let places = member.destinations.iter().map(|place| place.at.clone()).collect();
                known.insert(record.credential, places);
            }
        }
    }
    Ok(known)
}

#[derive(Debug, Args)]
pub(super) struct Plan {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    scope: Scope,
    /// Write the plan to a file, for `remint reset --plan`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Plan {
    /// As a daemon is asked.
    pub(super) fn body(&self) -> Result<serde_json::Value, Failure> {
        if self.source.named() {
            return Err(Failure::usage("a daemon plans from its own active estate; name no documents with --server"));
        }
        Ok(self.scope.body())
    }

    pub(super) async fn run(self, session: &Session) -> Result<Exit, Failure> {
        let estate = self.source.estate(session).await?;
        // Without a state every destination is new, which the plan then says.
        let app = session.open(HostRules::default(), EngineSettings::default()).await.ok();
        let (known, excepted) = match &app {
            Some(app) => (known(app).await?, app.engine.excepted().await?.into_keys().collect()),
            None => (BTreeMap::new(), BTreeSet::new()),
        };
        let plan = self.scope.planned(session, &estate, known, excepted)?;
        // A state that may only be looked at is looked at all the same.
        if let Some(app) = app.filter(|app| app.standing.is_sound()) {
            let by = app.by(session.environment.user());
            acts::record(&*app.engine.store, &app.engine.context, Act::Planned { plan: &plan, by: &by }).await?;
        }
        self.show(session, &plan, &estate)
    }

    pub(super) fn show(&self, session: &Session, plan: &Planned, estate: &Estate) -> Result<Exit, Failure> {
        if let Some(out) = &self.out {
            let text = serde_json::to_vec(plan).map_err(|error| Failure::new(Exit::Failed, error))?;
            std::fs::write(out, text)
                .map_err(|error| Failure::new(Exit::Failed, format!("cannot write {}: {error}", out.display())))?;
        }
        if session.json() {
            json(&to_json(plan))?;
            return Ok(Exit::Done);
        }
        data(&render_plan(plan, estate));
        next(&match &self.out {
            Some(out) => format!("remint reset --plan {} --reason … --watch", out.display()),
            None => "read it, then remint reset PATH --from … --reason … --watch".to_owned(),
        });
        Ok(Exit::Done)
    }
}

/// References or places on the command line.
fn nodes(names: &[String]) -> Result<Vec<Node>, Failure> {
    names
        .iter()
        .map(|name| {
            if name.contains(':') {
                name.parse::<Location>().map(|place| Node::Place(place.whole()))
            } else {
                name.parse::<Ref>().map(Node::Doc)
            }
            .map_err(|error| Failure::new(Exit::Usage, error))
        })
        .collect()
}

fn starts(graph: &Built, names: &[String]) -> Result<Vec<u32>, Failure> {
    nodes(names)?
        .into_iter()
        .map(|node| {
            graph
                .number(&node)
                .ok_or_else(|| Failure::usage(format!("{node} is not in the estate; `remint graph` shows what is")))
        })
        .collect()
}
