//! Replies that are sent to another thread, never polled, or dropped half-way.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};

use super::subject::{Subject, eventually};
use crate::models::{NewUser, VerificationToken};

cases! {
    a_reply_is_a_future_that_can_be_sent,
    a_call_works_without_being_polled,
    dropping_a_reply_cancels_nothing,
    dropping_a_reply_that_was_polled_cancels_nothing,
}

fn a_reply_is_a_future_that_can_be_sent(on: &Subject) {
    fn sent<F: Future + Send + Unpin + 'static>(future: F) -> F {
        future
    }
    let (write, read) = (sent(on.auth.create_user(NewUser::default())), sent(on.auth.get_user(&"nobody".into())));
    let user = std::thread::spawn(move || write.wait()).join().unwrap().unwrap();
    assert_eq!(on.find_user(&user.id), Some(user));
    assert_eq!(read.wait().unwrap(), None);
}

fn a_call_works_without_being_polled(on: &Subject) {
    let reply = on.auth.create_user(NewUser::email("ada@example.com"));
    eventually("the user exists", || on.find_by_email("ada@example.com").is_some());
    assert_eq!(reply.wait().unwrap().email.as_deref(), Some("ada@example.com"));
}

fn dropping_a_reply_cancels_nothing(on: &Subject) {
    for n in 0..100 {
        drop(on.auth.create_verification_token(VerificationToken::new("ada", n.to_string(), on.tomorrow())));
    }
    for n in 0..100 {
        eventually("the token exists", || on.take("ada", &n.to_string()).is_some());
    }
}

fn dropping_a_reply_that_was_polled_cancels_nothing(on: &Subject) {
    for n in 0..100 {
        let email = format!("{n}@example.com");
        let mut reply = on.auth.create_user(NewUser::email(email.as_str()));
        let _ = Pin::new(&mut reply).poll(&mut Context::from_waker(Waker::noop()));
        drop(reply);
        eventually("the user exists", || on.find_by_email(&email).is_some());
    }
}
