//! The live display of a running reset: one line a wave, the steps as they pass, what parked, and announced outages.

use std::collections::BTreeMap;
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
    lines: usize,
}

impl Watch {
    /// Begins to draw on stderr: a board that is drawn over on a terminal, a line per event elsewhere.
    #[must_use]
    pub fn start(engine: &Engine, id: &ResetId) -> Self {
        let (stop, stopped) = oneshot::channel();
        let drawing = tokio::spawn(draw(engine.watch(), id.clone(), stopped));
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
            _ => None,
        }
    }

    /// The board as text.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        let all = self.states.len().max(1);
        let settled = self.states.values().filter(|(_, state)| matches!(state, State::Settled { .. })).count();
        let width = 40;
        let filled = settled * width / all;
        let _ = write!(
            text,
            "[{}{}] {settled}/{} settled",
            "█".repeat(filled),
            "·".repeat(width - filled),
            self.states.len()
        );
        if let Some((number, of)) = self.wave {
            let _ = write!(text, "   wave {} of {of}", number + 1);
        }
        if self.outages.values().any(|began| *began) {
            text.push_str("   ANNOUNCED OUTAGE");
        }
        text.push('\n');
        let mut steps: BTreeMap<Step, usize> = BTreeMap::new();
        for (_, state) in self.states.values() {
            if let State::Doing { step } = state {
                *steps.entry(*step).or_default() += 1;
            }
        }
        let steps = steps.iter().map(|(step, count)| format!("{step} {count}")).collect::<Vec<_>>().join("  ");
        let _ = writeln!(text, "doing  {}", if steps.is_empty() { "-" } else { &steps });
        let stuck =
            self.states.values().filter(|(_, state)| matches!(state, State::Parked { .. } | State::Dark { .. }));
        for (name, state) in stuck.take(8) {
            let _ = writeln!(text, "  {name}: {}", phrase(state));
        }
        text
    }

    fn redraw(&mut self) {
        let text = self.render();
        let mut out = std::io::stderr().lock();
        if self.lines > 0 {
            // Up over the last board, and clear what stands below.
            let _ = write!(out, "\x1b[{}A\x1b[J", self.lines);
        }
        let _ = out.write_all(text.as_bytes());
        let _ = out.flush();
        self.lines = text.lines().count();
    }
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
