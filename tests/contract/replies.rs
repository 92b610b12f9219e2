//! Replies: awaited on an executor, waited for, dropped half-way.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use authkv::Error;
use authkv::models::NewUser;
use authkv::models::{NewSession, UserPatch, VerificationToken};
use tokio::runtime::{Builder, Runtime};

use crate::subject::{Subject, eventually};

cases! {
    a_reply_is_a_future_that_can_be_sent,
    a_verification_token_is_taken_by_one_of_many_tasks,
    each_task_sees_what_it_wrote,
    a_call_works_without_being_polled,
    dropping_a_reply_cancels_nothing,
    dropping_a_reply_that_was_polled_cancels_nothing,
    a_refusal_can_be_awaited,
}

fn executor() -> Runtime {
    Builder::new_multi_thread().worker_threads(4).build().unwrap()
}

fn a_reply_is_a_future_that_can_be_sent(on: &Subject) {
    fn sent<F: Future + Send + Unpin + 'static>(future: F) -> F {
        future
    }
    let (write, read) = (sent(on.auth.create_user(NewUser::default())), sent(on.auth.get_user(&"nobody".into())));
    let user = std::thread::spawn(move || write.wait()).join().unwrap().unwrap();
    assert_eq!(on.find_user(&user.id), Some(user));
    assert_eq!(executor().block_on(read).unwrap(), None);
}

fn a_verification_token_is_taken_by_one_of_many_tasks(on: &Subject) {
    let executor = executor();
    for round in 0..20 {
        let token = format!("secret-{round}");
        let expected = on.token("ada", &token);
        let taken = executor.block_on(async {
            let tasks: Vec<_> = (0..32)
                .map(|_| {
                    let (auth, token) = (Arc::clone(&on.auth), token.clone());
                    tokio::spawn(async move { auth.use_verification_token(Some("ada"), &token).await })
                })
                .collect();
            let mut taken = Vec::new();
            for task in tasks {
                taken.extend(task.await.unwrap().unwrap());
            }
            taken
        });
        assert_eq!(taken, [expected]);
    }
}

fn each_task_sees_what_it_wrote(on: &Subject) {
    let ada = on.user("ada");
    let expires = on.tomorrow();
    executor().block_on(async {
        let sessions_of_one_task = |task: usize| {
            let (auth, ada) = (Arc::clone(&on.auth), ada.clone());
            async move {
                for n in 0..10 {
                    let token = format!("secret-{task}-{n}");
                    let new = NewSession::new(token.as_str(), ada.id.clone(), expires);
                    let session = auth.create_session(new).await.unwrap();
                    let found = auth.get_session_and_user(&token).await.unwrap().expect("it was created");
                    assert_eq!((&found.session, &found.user), (&session, &ada));
                    assert_eq!(auth.delete_session(&token).await.unwrap(), Some(session));
                    assert_eq!(auth.get_session_and_user(&token).await.unwrap(), None);
                }
            }
        };
        let tasks: Vec<_> = (0..32).map(|task| tokio::spawn(sessions_of_one_task(task))).collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
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

fn a_refusal_can_be_awaited(on: &Subject) {
    let refused = executor().block_on(on.auth.update_user(UserPatch::new("nobody")));
    assert!(matches!(refused, Err(Error::UnknownUser)));
}
