//! The live display of a running reset: one line a wave, the steps as they pass, what parked, and announced outages.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use remint_contract::ResetId;
use remint_core::machine::State;
use remint_core::step::Step;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::engine::{Engine, Progress};
use crate::terminal::columns;

/// Draws until it is ended.
pub struct Watch {
    stop: oneshot::Sender<()>,
    drawing: JoinHandle<()>,
}

/// What is known so far.
#[derive(Debug, Default, Clone)]
pub struct Board {
    states: BTreeMap<usize, (String, State)>,
    wave: Option<(usize, usize)>,
    outages: BTreeMap<usize, bool>,
    /// When it will be done, in words.
    eta: Option<String>,
    late: bool,
    /// Why it stands still, in words.
    stands: Option<String>,
    /// Systems whose circuit is open.
    silent: BTreeSet<String>,
    /// As it stands on the terminal.
    drawn: String,
}

impl Watch {
    /// Begins to draw on stderr: a board that is drawn over on a terminal, a line per event elsewhere.
    #[must_use]
    pub fn start(engine: &Engine, id: &ResetId) -> Self {
        Self::of(engine.watch(), id)
    }

    /// As [`Watch::start`], from whoever tells.
    #[must_use]
    pub fn of(told: Receiver<Progress>, id: &ResetId) -> Self {
        let (stop, stopped) = oneshot::channel();
        let drawing = tokio::spawn(draw(told, id.clone(), stopped));
        Self { stop, drawing }
    }

    /// Draws the last state and ends.
    pub async fn end(self) {
        // The drawing task may have ended by itself; either way there is nothing more to draw.
        let _ = self.stop.send(());
        let _ = self.drawing.await;
    }
}

async fn draw(mut events: Receiver<Progress>, id: ResetId, mut stopped: oneshot::Receiver<()>) {
    let terminal = std::io::stderr().is_terminal();
    let mut board = Board::default();
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Ok(event) => {
                    let line = board.take(&id, &event);
                    if let (false, Some(line)) = (terminal, line) {
                        say(&line);
                    }
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => break,
            },
            _ = tick.tick(), if terminal => board.redraw(),
            _ = &mut stopped => break,
        }
    }
    while let Ok(event) = events.try_recv() {
        let line = board.take(&id, &event);
        if let (false, Some(line)) = (terminal, line) {
            say(&line);
        }
    }
    if terminal {
        board.redraw();
    }
}

impl Board {
    /// Takes an event in; a line for those who get no board.
    pub fn take(&mut self, id: &ResetId, event: &Progress) -> Option<String> {
        match event {
            Progress::Moved { reset, index, credential, state, .. } if reset == id => {
                let known = self.states.insert(*index, (credential.name.to_string(), state.clone()));
                let changed = known.is_none_or(|(_, before)| before != *state);
                (changed && state.rests()).then(|| format!("{credential}: {}", phrase(state)))
            }
            Progress::Wave { reset, number, of, .. } if reset == id => {
                self.wave = Some((*number, *of));
                Some(format!("wave {} of {of}", number + 1))
            }
            Progress::Outage { reset, cut, began, .. } if reset == id => {
                self.outages.insert(*cut, *began);
                Some(format!("announced outage of cut {} {}", cut + 1, if *began { "begins" } else { "ended" }))
            }
            Progress::Eta { reset, done, deadline, late, .. } if reset == id => {
                let before = self.late;
                self.late = *late;
                self.eta = Some(match deadline {
                    Some(deadline) if *late => format!("done about {done:.0}, after the deadline {deadline:.0}"),
                    Some(deadline) => format!("done about {done:.0}, before the deadline {deadline:.0}"),
                    None => format!("done about {done:.0}"),
                });
                (before != *late).then(|| {
                    if *late {
                        "the deadline will be missed".to_owned()
                    } else {
                        "the deadline will be kept".to_owned()
                    }
                })
            }
            Progress::Standstill { reset, word, reason, .. } if reset == id => {
                self.stands = (word != "resumed").then(|| format!("{word}: {reason}"));
                Some(format!("the reset is {word}: {reason}"))
            }
            Progress::Circuit { system, until: Some(until), .. } => {
                self.silent.insert(system.name.to_string());
                Some(format!(
                    "{system} does not answer: its circuit is open, and one call tries it again after {until}"
                ))
            }
            Progress::Circuit { system, until: None, .. } => {
                self.silent.remove(system.name.as_str());
                Some(format!("{system} answers again"))
            }
            _ => None,
        }
    }

    /// The board as text.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        let settled = self.count(|state| matches!(state, State::Settled { .. }));
        let filled = settled * WIDTH / self.states.len().max(1);
        let wave = self.wave.map_or_else(|| "start".to_owned(), |(number, of)| format!("wave {} of {of}", number + 1));
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(
            text,
            "  {wave:<13} {}{}  {settled} of {} begun are settled",
            "━".repeat(filled),
            "─".repeat(WIDTH - filled),
            self.states.len()
        );
        let _ = writeln!(text, "  {:<13} {}", "now", self.steps());
        if let Some(stands) = &self.stands {
            let _ = writeln!(text, "  {:<13} {stands}", "STANDS STILL");
        }
        if let Some(eta) = &self.eta {
            let _ = writeln!(text, "  {:<13} {eta}", if self.late { "TOO LATE" } else { "forecast" });
        }
        let cuts: Vec<String> =
            self.outages.iter().filter(|(_, began)| **began).map(|(cut, _)| format!("cut {}", cut + 1)).collect();
        if !cuts.is_empty() {
            let _ = writeln!(text, "  {:<13} announced, by name, in the plan: {}", "OUTAGE", cuts.join(", "));
        }
        if !self.silent.is_empty() {
            let names: Vec<&str> = self.silent.iter().map(String::as_str).collect();
            let _ = writeln!(
                text,
                "  {:<13} {} (nothing is sent until one try gets an answer)",
                "NO ANSWER",
                listed(&names)
            );
        }
        let dark: Vec<&str> = self.names(|state| matches!(state, State::Dark { .. }));
        if !dark.is_empty() {
            let _ = writeln!(text, "  {:<13} {} until their readers are clean", "dark", listed(&dark));
        }
        let stuck = |state: &State| matches!(state, State::Parked { .. } | State::Unknown { .. });
        let parked = self.states.values().filter(|(_, state)| stuck(state));
        for (index, (name, state)) in parked.take(SHOWN).enumerate() {
            let _ = writeln!(text, "  {:<13} {name}: {}", if index == 0 { "parked" } else { "" }, phrase(state));
        }
        let more = self.count(stuck).saturating_sub(SHOWN);
        if more > 0 {
            let _ = writeln!(text, "  {:<13} and {more} more", "");
        }
        text
    }

    /// What is being done, step by step in their order, and how many wait.
    fn steps(&self) -> String {
        let mut steps: BTreeMap<Step, usize> = BTreeMap::new();
        for (_, state) in self.states.values() {
            if let State::Doing { step } = state {
                *steps.entry(*step).or_default() += 1;
            }
        }
        let mut parts: Vec<String> = steps.iter().map(|(step, count)| format!("{count} {step}")).collect();
        let waiting = self.count(|state| matches!(state, State::Waiting { .. } | State::Planned));
        if waiting > 0 {
            parts.push(format!("{waiting} waiting"));
        }
        if parts.is_empty() { "nothing".to_owned() } else { parts.join(" · ") }
    }

    fn count(&self, which: impl Fn(&State) -> bool) -> usize {
        self.states.values().filter(|(_, state)| which(state)).count()
    }

    fn names(&self, which: impl Fn(&State) -> bool) -> Vec<&str> {
        self.states.values().filter(|(_, state)| which(state)).map(|(name, _)| name.as_str()).collect()
    }

    /// Draws over the last board, line by line: nothing is cleared before it is written, so nothing flickers, and no
    /// line is wider than the terminal, so that going up by lines ends where the board began.
    fn redraw(&mut self) {
        let text = self.render();
        if text == self.drawn {
            return;
        }
        let stderr = std::io::stderr();
        let room = columns(&stderr).map_or(NO_TERMINAL, usize::from) - 1;
        let mut frame = String::new();
        let before = self.drawn.lines().count();
        if before > 0 {
            let _ = write!(frame, "\x1b[{before}A\r");
        }
        for line in text.lines() {
            let line: String = line.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
            let shown: String = line.chars().take(room).collect();
            let (on, off) = if shown.starts_with("  OUTAGE") { ("\x1b[1;33m", "\x1b[0m") } else { ("", "") };
            let _ = writeln!(frame, "{on}{shown}{off}\x1b[K");
        }
        frame.push_str("\x1b[J");
        let mut out = stderr.lock();
        let _ = out.write_all(frame.as_bytes());
        let _ = out.flush();
        self.drawn = text;
    }
}

fn listed(names: &[&str]) -> String {
    let more = names.len().saturating_sub(SHOWN);
    let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

fn phrase(state: &State) -> String {
    match state {
        State::Parked { reason, .. } => format!("{state}: {reason}"),
        State::Dark { since } => format!("dark since {since}: dead, and nothing new before its readers are clean"),
        state => state.to_string(),
    }
}

fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Letters of the bar.
const WIDTH: usize = 40;
/// More than this are counted.
const SHOWN: usize = 6;
/// Where the width cannot be found out.
const NO_TERMINAL: usize = 100;

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use remint_core::machine::Reason;

    use super::*;

    fn told(board: &mut Board, id: &ResetId, index: usize, name: &str, state: State) -> Option<String> {
        let credential = remint_contract::Ref::credential(name).unwrap();
        board.take(id, &Progress::Moved { reset: id.clone(), index, credential, state, at: Timestamp::UNIX_EPOCH })
    }

    #[test]
    fn the_board_says_what_is_done_what_waits_and_what_is_parked() {
        let id = ResetId("r-1".to_owned());
        let mut board = Board::default();
        board.take(&id, &Progress::Wave { reset: id.clone(), number: 0, of: 2, at: Timestamp::UNIX_EPOCH });
        board.take(&id, &Progress::Outage { reset: id.clone(), cut: 0, began: true, at: Timestamp::UNIX_EPOCH });
        assert_eq!(told(&mut board, &id, 0, "a", State::Doing { step: Step::Mint }), None);
        let settled = State::Settled { last: false };
        assert_eq!(told(&mut board, &id, 1, "b", settled.clone()).unwrap(), "Credential/b: settled (provisional)");
        assert_eq!(told(&mut board, &id, 1, "b", settled), None, "said once");
        told(&mut board, &id, 2, "c", State::Dark { since: Timestamp::UNIX_EPOCH });
        let reason = Reason::Failed { what: "the store is full".to_owned() };
        told(&mut board, &id, 3, "d", State::Parked { step: Step::Deliver, reason });
        insta::assert_snapshot!(board.render(), @r"
          wave 1 of 2   ━━━━━━━━━━──────────────────────────────  1 of 4 begun are settled
          now           1 mint
          OUTAGE        announced, by name, in the plan: cut 1
          dark          c until their readers are clean
          parked        d: parked at deliver: the store is full
        ");
    }
}
