//! The state machine of one rotation.
