//! Records by the application's own fields.

use std::ops::Bound;

use crate::error::{Result, UniqueKey};
use crate::kv::key::{Key, field_range};
use crate::kv::txn::Txn;
use crate::models::{Cursor, FieldKey, Page, RangeOf};
use crate::ops::{all_pointed_to, pointed_to};
use crate::records::entries::FieldIndexed;

/// The other records that have a value of this one in a unique index.
pub(super) fn holders<R: FieldIndexed>(txn: &Txn<'_>, record: &R) -> Result<Vec<(UniqueKey, R)>> {
    let mut holders = Vec::new();
    for (field, value) in record.unique_values(txn.declared())? {
        if let Some(holder) = first::<R>(txn, &field, value)?
            && holder.key().to_bytes() != record.key().to_bytes()
        {
            holders.push((UniqueKey::Field(field), holder));
        }
    }
    Ok(holders)
}

pub(super) fn page<R: FieldIndexed>(
    txn: &Txn<'_>,
    field: &str,
    range: &RangeOf,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Page<R>> {
    let mut page = Page { items: Vec::new(), next: None };
    let Some((start, end)) = field_range(field, range) else {
        return Ok(page);
    };
    let start = match after {
        Some(Cursor(after)) if *after >= end => return Ok(page),
        Some(Cursor(after)) if *after >= start => Bound::Excluded(after.as_slice()),
        _ => Bound::Included(start.as_slice()),
    };
    let mut rows = txn.rows(&R::BY_FIELD, (start, Bound::Excluded(&end)), limit.saturating_add(1))?;
    if rows.len() > limit {
        rows.truncate(limit);
        page.next = rows.last().map(|(key, ())| Cursor(key.to_bytes()));
    }
    page.items = all_pointed_to(txn, &rows)?;
    Ok(page)
}

pub(super) fn first<R: FieldIndexed>(txn: &Txn<'_>, field: &str, value: FieldKey) -> Result<Option<R>> {
    let mut rows = txn.with_prefix(&R::BY_FIELD, &(field.to_owned(), value), 1)?;
    rows.pop().map(|((_, key), ())| pointed_to(txn, &key)).transpose()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::models::Millis;
    use crate::models::{AccountType, Index, Models, NewAccount, NewUser};
    use crate::ops::users;
    use crate::records::entries::replace;
    use crate::records::schema::ACCOUNT_BY_FIELD;
    use crate::{Adapter, AuthKv};

    type Own = BTreeMap<String, u64>;

    struct Numbered;

    impl Models for Numbered {
        const NAME: &'static str = "numbered";
        const VERSION: u32 = 1;
        type User = ();
        type Account = Own;
        type Session = ();
        type VerificationToken = ();
        const ACCOUNT_INDEXES: &'static [Index] = &[Index::unique("number")];
    }

    #[test]
    fn two_accounts_with_one_value_of_a_unique_index_are_reported() {
        let auth = AuthKv::options().models::<Numbered>().in_memory().unwrap();
        let ada = auth.create_user(NewUser::default()).wait().unwrap();
        for key in 0..2_u64 {
            let extra: Own = [("number".to_owned(), 7)].into();
            let account = NewAccount { extra, ..NewAccount::new(ada.id.clone(), AccountType::Oauth, "a", key) };
            let account = AccountRecord::new(account, || key.to_string().into(), Millis::new(0)).unwrap();
            // Past the operation that would refuse it.
            auth.write(move |txn| replace(txn, None, Some(&account)), Ok).wait().unwrap();
        }
        let report = auth.check().wait().unwrap();
        assert_eq!(report.problem_count, 1, "{:?}", report.problems);
        assert!(report.problems[0].contains("unique index"), "{:?}", report.problems);
    }

    #[test]
    fn accounts_that_wait_to_be_swept_are_found_by_no_value_and_in_no_list() {
        const ACCOUNTS: u64 = 600;
        let auth = AuthKv::options().models::<Numbered>().in_memory().unwrap();
        let ada = auth.create_user(NewUser::default()).wait().unwrap();
        for number in 0..ACCOUNTS {
            let extra = [("number".to_owned(), number)].into();
            let account = NewAccount { extra, ..NewAccount::new(ada.id.clone(), AccountType::Oauth, "a", number) };
            auth.link_account(account).wait().unwrap();
        }
        // In the same transaction, before the rest is swept.
        let found = auth.write(
            move |txn| {
                users::delete(txn, &ada.id)?;
                let left = txn.first(&ACCOUNT_BY_FIELD, usize::MAX)?.len();
                let mut listed = accounts(txn, "number", &RangeOf::All, None, usize::MAX)?.items.len();
                listed += accounts::list(txn, &ada.id, usize::MAX)?.len();
                let mut found = 0;
                for number in 0..ACCOUNTS {
                    found += usize::from(account(txn, "number", &FieldKey::Integer(number.into()))?.is_some());
                }
                Ok((left > 100, listed, found))
            },
            Ok,
        );
        assert_eq!(found.wait().unwrap(), (true, 0, 0));
    }
}
