//! Which entries call somebody: alarms and tasks, each with what to do now, in words of the command line.
//!
//! Guarantees: what a receiver gets is text; there is no address in it that does something when it is opened, and nothing of
//! Remint does anything on a GET.

use serde_json::{Map, Value};

/// Why somebody is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// Something is wrong, or stands still.
    Alarm,
    /// Somebody has to say or do something.
    Task,
}

impl Sort {
    /// The word in an event, and in what a stream is told to send.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Alarm => "alarm",
            Self::Task => "task",
        }
    }
}

/// A call, with what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub sort: Sort,
    pub next: String,
}

/// What an entry of this kind calls somebody for; `None`: it is told, and calls nobody.
#[must_use]
pub fn call(kind: &str, reset: Option<&str>, body: &Map<String, Value>) -> Option<Call> {
    let word = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default();
    let reset = reset.or_else(|| body.get("reset").and_then(Value::as_str)).unwrap_or("RESET");
    let denied = kind == "access.decided" && body.get("allowed") == Some(&Value::Bool(false));
    let governed = word("governance") == "governed";
    let (sort, next) = match kind {
        "break-glass.used" | "break-glass.overdue" => {
            (Sort::Alarm, format!("remint review {reset} --reason WHAT-YOU-FOUND, by another person"))
        }
        "access.decided" if denied => (
            Sort::Alarm,
            format!("remint policy explain --principal {} --action {}", word("principal"), word("action")),
        ),
        "rotation.dark" | "rotation.parked" | "rotation.reopened" | "reset.reopened" => {
            (Sort::Alarm, "remint get parked".to_owned())
        }
        "deadline.at-risk" | "reset.aborted" => (Sort::Alarm, format!("remint get rotations --reset {reset}")),
        "old.used" | "sweep.failed" => (Sort::Alarm, format!("remint get rotations --reset {reset}")),
        "window.missed" => (Sort::Alarm, "remint windows next".to_owned()),
        "log.unwitnessed" => (Sort::Alarm, "ask who runs the witnesses".to_owned()),
        "exception.ended" => (Sort::Alarm, "remint get tasks".to_owned()),
        "reset.requested" if governed => (Sort::Task, format!("remint approve {reset}")),
        "reset.escalated" => (Sort::Task, format!("remint approve {reset}")),
        "exception.asked" => (Sort::Task, format!("remint approve {}", word("exception"))),
        "standing.asked" => (Sort::Task, format!("remint approve {}", word("standing"))),
        "policy.staged" => (Sort::Task, "remint policy stage FOLDER, by a second person".to_owned()),
        "estate.staged" => (Sort::Task, "remint estate diff PATH, then remint estate activate PATH".to_owned()),
        "estate.proposed" => (Sort::Task, "remint estate activate PATH, by a second person".to_owned()),
        "task.opened" => (Sort::Task, "remint get tasks".to_owned()),
        "foreign.found" => (Sort::Task, "remint get findings".to_owned()),
        _ => return None,
    };
    Some(Call { sort, next })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_call_holds_an_address_and_each_says_a_command_or_whom_to_ask() {
        let body = json!({ "allowed": false, "governance": "governed", "principal": "unix:7", "action": "approve" });
        for kind in [
            "break-glass.used",
            "break-glass.overdue",
            "access.decided",
            "rotation.dark",
            "rotation.parked",
            "rotation.reopened",
            "deadline.at-risk",
            "old.used",
            "window.missed",
            "log.unwitnessed",
            "exception.ended",
            "reset.requested",
            "reset.escalated",
            "exception.asked",
            "standing.asked",
            "policy.staged",
            "estate.staged",
            "task.opened",
        ] {
            let call = call(kind, Some("r-1"), body.as_object().unwrap()).unwrap();
            assert!(!call.next.contains("://") && !call.next.is_empty(), "{kind}: {}", call.next);
        }
        assert_eq!(call("effect.done", Some("r-1"), &Map::new()), None);
        assert_eq!(call("access.decided", None, json!({ "allowed": true }).as_object().unwrap()), None);
        assert_eq!(call("reset.requested", Some("r-1"), &Map::new()), None);
    }
}
