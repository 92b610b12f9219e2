//! The answer of a check that guards something.

/// The answer of a check: what passed it, or nothing. It is an [`Option`] that must be looked at, because the line behind
/// a check that nobody looked at is open to everybody.
///
/// ```
/// use authkv::AuthKv;
/// use authkv::models::Check;
///
/// let auth = AuthKv::in_memory()?;
/// match auth.authenticate("the token of a cookie").wait()? {
///     Check::Passed(here) => println!("signed in as {}", here.user.id),
///     Check::Failed => println!("not signed in"),
/// }
///
/// // Or as an option:
/// let user = auth.authenticate("the token of a cookie").wait()?.passed().map(|here| here.user);
/// assert_eq!(user, None);
/// # Ok::<(), authkv::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the check may have failed"]
pub enum Check<T = ()> {
    /// The check passed.
    Passed(T),
    /// The check failed: nobody may go on.
    Failed,
}

impl<T> Check<T> {
    /// What passed the check.
    #[must_use = "the check may have failed"]
    pub fn passed(self) -> Option<T> {
        self.into()
    }

    /// True if the check passed.
    #[must_use = "the check may have failed"]
    pub fn has_passed(&self) -> bool {
        matches!(self, Self::Passed(_))
    }
}

impl<T> From<Option<T>> for Check<T> {
    fn from(passed: Option<T>) -> Self {
        passed.map_or(Self::Failed, Self::Passed)
    }
}

impl<T> From<Check<T>> for Option<T> {
    fn from(check: Check<T>) -> Self {
        match check {
            Check::Passed(value) => Some(value),
            Check::Failed => None,
        }
    }
}
