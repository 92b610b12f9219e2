//! Calls that may take long, and run on another thread: reading all of a store, and closing it.

use napi::bindgen_prelude::AsyncTask;
use napi::{Env, Task};

use crate::failure::Result;
use crate::output::{Output, text};

/// A call that may take long, as a promise of its answer.
pub struct Slow(Option<Work>);

type Work = Box<dyn FnOnce() -> String + Send>;

impl Slow {
    pub(crate) fn run<T: Output>(work: impl FnOnce() -> Result<T> + Send + 'static) -> AsyncTask<Self> {
        AsyncTask::new(Self(Some(Box::new(move || text(work())))))
    }
}

impl Task for Slow {
    type Output = String;
    type JsValue = String;

    fn compute(&mut self) -> napi::Result<String> {
        Ok(self.0.take().map_or_else(String::new, |work| work()))
    }

    fn resolve(&mut self, _: Env, answer: String) -> napi::Result<String> {
        Ok(answer)
    }
}
