//! Who waits for slots, and who is next: those who began earlier, and what has to be contained before anything else.
//!
//! First come, first served would take ten thousand rotations through the same step side by side: each is half done for
//! as long as all of them take, and a step that needs the store more than its systems keeps all of them waiting for it at
//! once. By the place of their rotation, the first are done while the last have not begun.
//!
//! Pure: the caller locks it, and tells those who are next after it let go of the lock.

use std::collections::BTreeMap;

use tokio::sync::oneshot;

/// Where a rotation stands among all that this process carries on: lower is served first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Place {
    /// False, and so first, for a step that stops something, and for whatever many wait for.
    pub(crate) patient: bool,
    /// Rotations are numbered as they begin.
    pub(crate) number: u64,
}

/// Somebody in line: its place, and when it came.
pub(super) type Ticket = (Place, u64);

/// Free slots, and who waits for some.
#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) free: u32,
    came: u64,
    waiting: BTreeMap<Ticket, (u32, oneshot::Sender<()>)>,
}

/// Who was given slots: told when the lock is let go.
#[must_use]
pub(super) struct Next(Vec<oneshot::Sender<()>>);

impl Line {
    /// Stands in line. Somebody has to be told of it with [`Line::serve`].
    pub(super) fn join(&mut self, place: Place, count: u32) -> (Ticket, oneshot::Receiver<()>) {
        let (given, told) = oneshot::channel();
        self.came += 1;
        let ticket = (place, self.came);
        self.waiting.insert(ticket, (count, given));
        (ticket, told)
    }

    /// Leaves the line. False when it was served already: then it has slots, whether or not it was told.
    pub(super) fn leave(&mut self, ticket: &Ticket) -> bool {
        self.waiting.remove(ticket).is_some()
    }

    /// Gives free slots to who is next. Who needs more than there are keeps those behind waiting, or it would for ever.
    pub(super) fn serve(&mut self) -> Next {
        let mut served = Vec::new();
        while let Some(first) = self.waiting.first_entry()
            && first.get().0 <= self.free
        {
            let (count, given) = first.remove();
            self.free -= count;
            served.push(given);
        }
        Next(served)
    }
}

impl Next {
    /// Tells them. Who has gone meanwhile finds that it was served when it leaves the line.
    pub(super) fn tell(self) {
        for given in self.0 {
            let _ = given.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn place(patient: bool, number: u64) -> Place {
        Place { patient, number }
    }

    #[test]
    fn who_began_earlier_is_served_first_and_what_is_contained_before_that() {
        let mut line = Line::default();
        let mut late = line.join(place(true, 7), 1).1;
        let mut early = line.join(place(true, 3), 1).1;
        let mut again = line.join(place(true, 3), 1).1;
        let mut contained = line.join(place(false, 9), 1).1;
        for expected in [[true, false, false, false], [true, true, false, false], [true, true, true, false]] {
            line.free += 1;
            line.serve().tell();
            let served = [&mut contained, &mut early, &mut again, &mut late].map(|told| told.try_recv().is_ok());
            let told = expected.iter().filter(|one| **one).count();
            assert_eq!(served.iter().filter(|one| **one).count(), 1, "one slot, one more of {told}");
            assert!(served[told - 1]);
        }
    }

    #[test]
    fn who_needs_many_is_not_passed_by_for_ever() {
        let mut line = Line { free: 2, ..Line::default() };
        let mut many = line.join(place(true, 1), 3).1;
        let mut one = line.join(place(true, 2), 1).1;
        line.serve().tell();
        assert!(many.try_recv().is_err() && one.try_recv().is_err());
        line.free += 1;
        line.serve().tell();
        assert!(many.try_recv().is_ok() && one.try_recv().is_err());
    }

    #[test]
    fn who_leaves_knows_whether_it_was_served() {
        let mut line = Line { free: 1, ..Line::default() };
        let (served, told) = line.join(Place::default(), 1);
        let (waiting, _told) = line.join(Place::default(), 1);
        drop(told);
        line.serve().tell();
        assert!(!line.leave(&served) && line.leave(&waiting));
        assert_eq!(line.free, 0);
    }
}
