//! Models with own fields of several kinds on each record, and indexes on some.

use authkv::conformance::Sample;
use authkv::models::{Index, Instant, Models};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub(crate) struct Shop;

impl Models for Shop {
    const NAME: &'static str = "shop";
    const VERSION: u32 = 1;
    type User = Own;
    type Account = Own;
    type Session = Own;
    type VerificationToken = Own;
    const USER_INDEXES: &'static [Index] = &[Index::unique("number"), Index::new("born"), Index::new("plan")];
    const ACCOUNT_INDEXES: &'static [Index] = &[Index::new("plan"), Index::unique("number")];
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Own {
    number: u64,
    plan: Plan,
    born: Option<Instant>,
    height: f64,
    addresses: Vec<Address>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Plan {
    Basic,
    Premium,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Address {
    street: String,
}

impl Sample for Own {
    fn sample(number: u64) -> Self {
        let born = DateTime::<Utc>::from_timestamp_millis(-(number as i64 % 1_000_000_007)).map(Instant::from);
        Self {
            number,
            plan: if number.is_multiple_of(2) { Plan::Basic } else { Plan::Premium },
            born: born.filter(|_| !number.is_multiple_of(3)),
            height: number as f64 / 7.0,
            addresses: (0..number % 3).map(|n| Address { street: format!("{n} \0 \"$instant\"") }).collect(),
        }
    }

    fn number(&self) -> u64 {
        self.number
    }
}
