//! Indexed fields that a record lacks although the application's models read a value for them.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::kv::txn::{Txn, with_indexes};
use crate::models::{Absentees, Dynamic, FieldPatch, Models};
use crate::records::entries::FieldIndexed;
use crate::reply::Reply;
use crate::store::AuthKv;
use crate::store::fit::Fitted;

impl<M: Models> AuthKv<M> {
    /// Returns a new record with the indexed fields that it lacks and for which the models read a value.
    ///
    /// # Errors
    /// `InvalidArgument` when such a field still is not there.
    pub(crate) fn completed<R: Fitted<M> + FieldIndexed>(&self, mut record: R) -> Result<R> {
        let indexes = R::indexes(self.indexes());
        if is_dynamic::<M>() {
            record.own_fields_mut().fill_as_known(indexes);
        } else if let Err(misfit) = record.own_fields_mut().fill::<R::Own>(indexes) {
            return Err(misfit.of(record.name()));
        }
        record.own_fields().check_indexed(indexes)?;
        Ok(record)
    }

    /// True if the patch clears an indexed field, for which the models may read a value all the same.
    pub(crate) fn clears_indexed<R: FieldIndexed>(&self, patch: &FieldPatch) -> bool {
        R::indexes(self.indexes()).iter().any(|index| patch.clears(&index.field))
    }

    /// Calls `next` with the indexed fields that a record lacks after a patch and for which the models read a value.
    /// `patched` tries the patch on the stored record.
    pub(crate) fn with_absentees<R, T>(
        &self,
        patched: impl Fn(&mut Txn<'_>) -> Result<Option<R>> + Send + 'static,
        next: impl FnOnce(&Self, Absentees) -> Reply<T> + Send + 'static,
    ) -> Reply<T>
    where
        R: Fitted<M> + FieldIndexed,
        T: Send + 'static,
    {
        let patched = with_indexes(Arc::clone(self.indexes()), patched);
        let patched = self.read(move |txn| txn.trying(&patched), Ok);
        self.then(patched, move |auth, patched| {
            // The write is refused in its own way.
            let Ok(Some(patched)) = patched else { return next(auth, Absentees::new()) };
            match auth.absentees(&patched) {
                Ok(absentees) => next(auth, absentees),
                Err(error) => Reply::ready(Err(error)),
            }
        })
    }

    /// The indexed fields that a patched record lacks and for which the models read a value.
    pub(crate) fn absentees<R: Fitted<M> + FieldIndexed>(&self, patched: &R) -> Result<Absentees> {
        match self.completed(patched.clone()) {
            Ok(completed) => Ok(completed.own_fields().added_to(patched.own_fields())),
            // The write is refused in its own way.
            Err(Error::Misfit { .. }) => Ok(Absentees::new()),
            Err(error) => Err(error),
        }
    }
}

/// True if the host knows its fields only at run time. Then the stored indexes say what the models read.
fn is_dynamic<M: Models>() -> bool {
    M::NAME == Dynamic::NAME
}
