//! How a command's result comes back to another thread: a function that is called exactly once.
//!
//! Invariant: an answer that is dropped unanswered says that the node is closed, so no caller ever waits for nothing.

use tokio::sync::oneshot;

use crate::Failure;

/// Where a result goes.
pub struct Answer<T>(Option<Give<T>>);

type Give<T> = Box<dyn FnOnce(Result<T, Failure>) + Send>;

impl<T> Answer<T> {
    /// Calls `give` with the result, on the node's thread.
    pub fn new(give: impl FnOnce(Result<T, Failure>) + Send + 'static) -> Self {
        Self(Some(Box::new(give)))
    }

    /// Gives the result.
    pub fn give(mut self, result: Result<T, Failure>) {
        if let Some(give) = self.0.take() {
            give(result);
        }
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        if let Some(give) = self.0.take() {
            give(Err(Failure::closed()));
        }
    }
}

/// Calls a method of [`crate::Node`] that takes an answer, and waits for it: `ask(|a| node.circuit_open(spec, a)).await`.
pub async fn ask<T: Send + 'static>(call: impl FnOnce(Answer<T>)) -> Result<T, Failure> {
    let (sender, receiver) = oneshot::channel();
    call(Answer::new(move |result| drop(sender.send(result))));
    receiver.await.unwrap_or_else(|_| Err(Failure::closed()))
}

/// The same for a thread that may block.
pub fn ask_blocking<T: Send + 'static>(call: impl FnOnce(Answer<T>)) -> Result<T, Failure> {
    let (sender, receiver) = std::sync::mpsc::channel();
    call(Answer::new(move |result| drop(sender.send(result))));
    receiver.recv().unwrap_or_else(|_| Err(Failure::closed()))
}
