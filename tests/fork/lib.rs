//! fork(2) for tests. A package of its own, because everything else here forbids unsafe code.
#![cfg(unix)]

use std::panic::{AssertUnwindSafe, catch_unwind};

/// After how many seconds a child that hangs is killed.
const SECONDS_MAX: u32 = 20;

/// A child of this process.
#[must_use = "whether the child ended well is not known until it is waited for"]
pub struct Child(libc::pid_t);

/// Makes a child that runs `work` and then ends at once, while this process goes on.
pub fn fork(work: impl FnOnce()) -> Child {
    // SAFETY: the child has one thread. glibc makes its own locks, as those of its allocator, usable there.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "no child can be made");
    if child == 0 {
        // SAFETY: it takes any number.
        unsafe { libc::alarm(SECONDS_MAX) };
        let result = catch_unwind(AssertUnwindSafe(work));
        // SAFETY: it takes any number, and does not return.
        unsafe { libc::_exit(i32::from(result.is_err())) };
    }
    Child(child)
}

impl Child {
    /// Waits for the child's end.
    ///
    /// # Panics
    /// When the child hung or panicked.
    pub fn wait(self) {
        let mut status = 0;
        // SAFETY: the status is a place to write to.
        let ended = unsafe { libc::waitpid(self.0, &raw mut status, 0) };
        assert_eq!(ended, self.0, "there is no such child");
        assert!(!libc::WIFSIGNALED(status), "the child hung, or was killed by signal {}", libc::WTERMSIG(status));
        assert_eq!(libc::WEXITSTATUS(status), 0, "the child panicked");
    }
}
