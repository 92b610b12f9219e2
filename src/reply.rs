//! The answer to a call: a future for async code, with `wait()` for blocking code.

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use oneshot::AsyncReceiver;

use crate::error::{Error, Result, StorageError};
use crate::process::{FORKED, Process};

/// What the writer sends: the last step of the call. It runs on the caller's thread, because it may be the
/// application's code.
type Finish<T> = Box<dyn FnOnce() -> Result<T> + Send>;

/// A last step that takes other calls.
type Rest<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// The answer to a call. It is a future to await, or to block on with [`wait`](Self::wait).
///
/// The work starts when the method is called, not when the reply is first polled. Dropping the reply cancels nothing: a
/// write that was accepted is carried out. Reads are answered at once.
///
/// A change of a record with [own fields](crate::models::Models) is tried on your model before it is made; if another call
/// changes that record's own fields at the same moment, it is tried anew by whoever waits for the reply. If the reply was
/// dropped, it is made without being tried anew.
///
/// ```
/// use authkv::models::NewUser;
/// use authkv::AuthKv;
///
/// let auth = AuthKv::in_memory()?;
/// let user = auth.create_user(NewUser::email("ada@example.com")).wait()?; // in blocking code
/// # let found = async {
/// let found = auth.get_user(&user.id).await?; // in async code, on any executor
/// # Ok::<_, authkv::Error>(found)
/// # };
/// # Ok::<(), authkv::Error>(())
/// ```
#[must_use = "the call is made, but its outcome is not known until the reply is awaited or waited for"]
pub struct Reply<T>(State<T>);

enum State<T> {
    Ready(Result<T>),
    /// Only the last step is left.
    Last(Finish<T>),
    /// Somebody in this process will answer.
    Queued(AsyncReceiver<Finish<T>>, Process),
    /// Other calls follow an answer that will come.
    Rest(Rest<T>),
    Taken,
}

impl<T> Reply<T> {
    /// A reply that is ready now, for your own implementation of [`Adapter`](crate::Adapter).
    pub fn ready(result: Result<T>) -> Self {
        Self(State::Ready(result))
    }

    /// A reply that comes later, and the [`Answer`] that completes it, for your own implementation of
    /// [`Adapter`](crate::Adapter).
    ///
    /// ```
    /// let (answer, reply) = authkv::Reply::later();
    /// std::thread::spawn(move || answer.send(Ok(7)));
    /// assert_eq!(reply.wait()?, 7);
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn later() -> (Answer<T>, Self)
    where
        T: Send + 'static,
    {
        let (sender, receiver) = oneshot::async_channel();
        (Answer(sender), Self(State::Queued(receiver, Process::current())))
    }

    /// A reply that needs only a last step, which runs on the thread of whoever waits for it.
    pub(crate) fn by(finish: impl FnOnce() -> Result<T> + Send + 'static) -> Self {
        Self(State::Last(Box::new(finish)))
    }

    /// The reply of the call that `next` makes with this one's result. Whoever waits for it makes that call.
    pub(crate) fn and_then<U>(self, next: impl FnOnce(Result<T>) -> Reply<U> + Send + 'static) -> Reply<U>
    where
        T: Send + 'static,
        U: Send + 'static,
    {
        Reply::rest(async move { next(self.await).await })
    }

    /// A reply for which whoever waits for it has to do more work.
    pub(crate) fn rest(work: impl Future<Output = Result<T>> + Send + 'static) -> Self {
        Self(State::Rest(Box::pin(work)))
    }

    /// True if polling returns at once.
    pub(crate) fn is_ready(&self) -> bool {
        match &self.0 {
            State::Queued(receiver, _) => receiver.has_message() || receiver.is_closed(),
            State::Rest(_) => false,
            State::Ready(_) | State::Last(_) | State::Taken => true,
        }
    }

    /// Blocks the thread until the answer is ready.
    ///
    /// In async code, await the reply instead: waiting for a write blocks the executor's thread for as long as a commit
    /// takes.
    ///
    /// # Errors
    /// The errors of the method that was called.
    pub fn wait(self) -> Result<T> {
        match self.0 {
            State::Ready(result) => result,
            State::Last(finish) => finish(),
            _ => block_on(self),
        }
    }
}

/// Completes a [`Reply`] that comes later. If it is dropped without an answer, the caller gets
/// [`OutcomeUnknown`](Error::OutcomeUnknown).
pub struct Answer<T>(oneshot::Sender<Finish<T>>);

#[cfg(feature = "etcd")]
impl<T: Send + 'static> Reply<T> {
    /// Waits for the answer without its last step, and sends that as the answer to another reply.
    pub(crate) async fn answer_to(mut self, answer: Answer<T>) {
        let finish = match std::mem::replace(&mut self.0, State::Taken) {
            State::Last(finish) => finish,
            State::Queued(receiver, _) => match receiver.await {
                Ok(finish) => finish,
                // Then the other reply answers that nobody has answered.
                Err(_) => return,
            },
            state => {
                let result = Self(state).await;
                Box::new(move || result)
            }
        };
        let _ = answer.0.send(finish);
    }
}

impl<T: Send + 'static> Answer<T> {
    /// Sends the answer. The caller may already be gone.
    pub fn send(self, result: Result<T>) {
        self.send_finished_by(move || result);
    }

    /// Sends the last step, which the caller runs to get the answer.
    pub(crate) fn send_finished_by(self, finish: impl FnOnce() -> Result<T> + Send + 'static) {
        let _ = self.0.send(Box::new(finish));
    }
}

impl<T> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer")
    }
}

impl<T> Unpin for Reply<T> {}

impl<T> Future for Reply<T> {
    type Output = Result<T>;

    /// # Panics
    /// When polled again after it was ready, as futures do.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        let result = match std::mem::replace(&mut self.0, State::Taken) {
            State::Ready(result) => result,
            State::Last(finish) => finish(),
            State::Rest(mut rest) => match rest.as_mut().poll(context) {
                Poll::Ready(result) => result,
                Poll::Pending => {
                    self.0 = State::Rest(rest);
                    return Poll::Pending;
                }
            },
            State::Queued(receiver, process) if !receiver.has_message() && !process.is_current() => {
                std::mem::forget(receiver);
                Err(Error::OutcomeUnknown(StorageError::new(FORKED)))
            }
            State::Queued(mut receiver, process) => match pin!(&mut receiver).poll(context) {
                Poll::Ready(Ok(finish)) => finish(),
                Poll::Ready(Err(_)) => Err(Error::OutcomeUnknown(StorageError::new("nobody answered"))),
                Poll::Pending => {
                    self.0 = State::Queued(receiver, process);
                    return Poll::Pending;
                }
            },
            #[allow(clippy::panic)] // the contract of `Future`
            State::Taken => panic!("a reply was polled after it had answered"),
        };
        Poll::Ready(result)
    }
}

impl<T> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            State::Ready(_) | State::Last(_) => "Reply(ready)",
            State::Queued(..) | State::Rest(_) => "Reply(queued)",
            State::Taken => "Reply(taken)",
        })
    }
}

fn block_on<T>(mut future: impl Future<Output = T> + Unpin) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = Pin::new(&mut future).poll(&mut context) {
            return output;
        }
        std::thread::park();
    }
}
