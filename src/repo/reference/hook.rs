//! The `reference-transaction` hook (githooks(5)).

use crate::repo::Error;
use crate::repo::hook::Hook as Program;

/// The installed hook.
#[derive(Debug, Clone)]
pub(super) struct Hook(pub(super) Program);

/// The states in which the hook is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Prepared,
    Committed,
    Aborted,
}

impl Hook {
    /// The name of its file.
    pub(super) const NAME: &str = "reference-transaction";

    /// Runs the hook with `input`; whether it agrees. Only [`State::Prepared`] can be refused.
    pub(super) fn run(&self, state: State, input: &[u8]) -> Result<(), Error> {
        let code = self.0.run(&[state.name().as_ref()], input);
        if state == State::Prepared && code != 0 {
            return Err(Error::RefusedByHook);
        }
        Ok(())
    }
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Committed => "committed",
            Self::Aborted => "aborted",
        }
    }
}
