//! What is known of the terminal.

use std::os::fd::AsFd;

/// How wide the terminal is; `None` where there is none.
pub(crate) fn columns(stream: &impl AsFd) -> Option<u16> {
    rustix::termios::tcgetwinsize(stream).ok().map(|size| size.ws_col).filter(|&columns| columns >= NARROWEST)
}

/// A terminal that says it is narrower than this does not know.
const NARROWEST: u16 = 20;
