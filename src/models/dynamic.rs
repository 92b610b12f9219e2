//! Models for hosts that know their own fields only at run time.

use super::{DynamicFields, Models};

/// The models of a host that knows its own fields only at run time: each record has a map of [`Value`](super::Value)s.
/// They open a store that has any models.
///
/// ```
/// use authkv::models::{Dynamic, NewUser, Value};
/// use authkv::AuthKv;
///
/// let auth = AuthKv::options().models::<Dynamic>().in_memory()?;
/// let extra = [("phone_number".to_owned(), Value::from("+44 20 7946 0018"))].into();
/// let user = auth.create_user(NewUser { extra, ..NewUser::email("ada@example.com") }).wait()?;
/// assert_eq!(user.extra["phone_number"], Value::from("+44 20 7946 0018"));
/// # Ok::<(), authkv::Error>(())
/// ```
pub struct Dynamic;

impl Models for Dynamic {
    const NAME: &'static str = "(dynamic)";
    const VERSION: u32 = 0;
    type User = DynamicFields;
    type Account = DynamicFields;
    type Session = DynamicFields;
    type VerificationToken = DynamicFields;
}
