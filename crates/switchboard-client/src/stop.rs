//! How another thread ends a conversation, as when Ctrl-C was pressed.

use switchboard_reactor::Sender;

/// Ends a running conversation in good order, from any thread.
#[derive(Debug, Clone)]
pub struct Stopper(Sender<()>);

impl Stopper {
    pub(crate) const fn new(sender: Sender<()>) -> Self {
        Self(sender)
    }

    /// Asks the conversation to end; asking again, or after its end, changes nothing.
    pub fn stop(&self) {
        self.0.send(());
    }
}
