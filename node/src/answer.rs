//! How answers come to JavaScript: at once, or later through a function that is called on its thread.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use authkv::Reply;
use napi::Status;
use napi::bindgen_prelude::{FnArgs, Function};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;

use crate::failure::Failure;
use crate::output::{Output, text};

/// The ticket of a call and its answer; the answer is empty while there is none.
type Answered = FnArgs<(u32, String)>;

/// A function that may be called from any thread. It does not keep the process alive: the caller does, as long as it
/// waits for an answer.
type OnAnswer = ThreadsafeFunction<Arc<Waiting>, (), Answered, Status, false, true>;

/// Where the answers go that come later. Each JavaScript environment has one.
#[napi]
pub struct Answers(Arc<OnAnswer>);

#[napi]
impl Answers {
    /// `onAnswer(ticket, answer)` must not throw.
    #[napi(constructor)]
    pub fn new(on_answer: Function<'_, Answered, ()>) -> napi::Result<Self> {
        let on_answer = on_answer
            .build_threadsafe_function::<Arc<Waiting>>()
            .callee_handled::<false>()
            .weak::<true>()
            .build_callback(|call| {
                let waiting: Arc<Waiting> = call.value;
                let ticket = waiting.ticket;
                Ok((ticket, waiting.poll().unwrap_or_default()).into())
            })?;
        Ok(Self(Arc::new(on_answer)))
    }
}

impl Answers {
    pub(crate) fn share(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    /// Returns the answer if it is there. Otherwise it comes later, under this ticket.
    pub(crate) fn answer<T: Output + Send + 'static>(&self, mut reply: Reply<T>, ticket: u32) -> Option<String> {
        let mut poll = move |context: &mut Context<'_>| {
            Pin::new(&mut reply).poll(context).map(|result| text(result.map_err(Failure::from)))
        };
        if let Poll::Ready(answer) = poll(&mut Context::from_waker(Waker::noop())) {
            return Some(answer);
        }
        let poll: Box<PollAnswer> = Box::new(poll);
        Arc::new(Waiting { ticket, on_answer: Arc::clone(&self.0), poll: Mutex::new(Some(poll)) }).poll()
    }
}

type PollAnswer = dyn FnMut(&mut Context<'_>) -> Poll<String> + Send;

/// A call that waits for its answer. Only the JavaScript thread polls it, so that the thread which wakes it is not held
/// up.
struct Waiting {
    ticket: u32,
    on_answer: Arc<OnAnswer>,
    /// `None` after the answer: the call may be woken once more.
    poll: Mutex<Option<Box<PollAnswer>>>,
}

impl Waiting {
    fn poll(self: Arc<Self>) -> Option<String> {
        let waker = Waker::from(Arc::clone(&self));
        let mut poll = self.poll.lock().unwrap_or_else(PoisonError::into_inner);
        match poll.as_mut()?(&mut Context::from_waker(&waker)) {
            Poll::Ready(answer) => {
                *poll = None;
                Some(answer)
            }
            Poll::Pending => None,
        }
    }
}

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        let on_answer = Arc::clone(&self.on_answer);
        // It fails when the environment is gone, and nobody waits there any more.
        let _ = on_answer.call(self, ThreadsafeFunctionCallMode::NonBlocking);
    }
}
