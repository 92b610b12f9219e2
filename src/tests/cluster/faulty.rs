//! A cluster that loses, delays and repeats requests and answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::memory::Memory;
use crate::engine::remote::cluster::{Answer, Answering, Cluster, Failure, Reading, Txn};
use crate::error::{Error, StorageError};

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault {
    RequestLost,
    AnswerLost,
    /// The request is carried out after its sender has been told that there is no answer.
    RequestLate,
    AnswerLate,
    Repeated,
    /// The answer says that there is no space left. It does not say whether the request was carried out.
    FullUndone,
    FullDone,
    /// The cluster refuses the request.
    Refused,
}

/// The faults after which the same request can succeed.
const FAULTS: [Fault; 5] =
    [Fault::RequestLost, Fault::AnswerLost, Fault::RequestLate, Fault::AnswerLate, Fault::Repeated];

/// Chooses the fault of the next request, if it meets one.
type Dice = Box<dyn FnMut(&Txn) -> Option<Fault> + Send>;

pub(super) struct Faulty {
    memory: Memory,
    dice: Mutex<Dice>,
    met: Mutex<Vec<Fault>>,
}

impl Faulty {
    pub(super) fn new(memory: &Memory, dice: impl FnMut(&Txn) -> Option<Fault> + Send + 'static) -> Arc<Self> {
        Arc::new(Self { memory: memory.clone(), dice: Mutex::new(Box::new(dice)), met: Mutex::default() })
    }

    /// One request in this many meets a fault.
    pub(super) fn one_in(memory: &Memory, requests: usize, seed: u64) -> Arc<Self> {
        let mut random = fastrand::Rng::with_seed(seed);
        Self::new(memory, move |_| (random.usize(..requests) == 0).then(|| FAULTS[random.usize(..FAULTS.len())]))
    }

    pub(super) fn met(&self) -> Vec<Fault> {
        self.met.lock().clone()
    }

    async fn carry_out(&self, txn: Txn) -> Result<Answer, Failure> {
        let fault = (self.dice.lock())(&txn);
        self.met.lock().extend(fault);
        let lost = || StorageError::new("a test has lost it");
        match fault {
            None => self.memory.carry_out(&txn),
            Some(Fault::RequestLost) => Err(Failure::Unknown(lost())),
            Some(Fault::AnswerLost) => self.memory.carry_out(&txn).and(Err(Failure::Unknown(lost()))),
            Some(Fault::RequestLate) => {
                let memory = self.memory.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(fastrand::u64(..4))).await;
                    memory.carry_out(&txn)
                });
                Err(Failure::Unknown(lost()))
            }
            Some(Fault::AnswerLate) => {
                let answer = self.memory.carry_out(&txn);
                tokio::time::sleep(Duration::from_millis(fastrand::u64(..4))).await;
                answer
            }
            Some(Fault::Repeated) => self.memory.carry_out(&txn).and_then(|_| self.memory.carry_out(&txn)),
            Some(Fault::Refused) => Err(Failure::Refused(Error::Storage(lost()))),
            Some(Fault::FullUndone) => Err(Failure::Full(lost())),
            Some(Fault::FullDone) => self.memory.carry_out(&txn).and(Err(Failure::Full(lost()))),
        }
    }
}

impl Cluster for Faulty {
    fn txn(&self, txn: Txn, _: Reading, deadline: Instant) -> Answering<'_> {
        Box::pin(async move {
            loop {
                match self.carry_out(txn.clone()).await {
                    Err(Failure::Unknown(_)) if txn.is_read_only() && Instant::now() < deadline => {}
                    outcome => return outcome,
                }
            }
        })
    }

    fn ops_max(&self) -> usize {
        self.memory.ops_max()
    }
}
