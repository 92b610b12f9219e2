//! Executors: awaiting replies in async code.

use std::sync::Arc;

use authkv::Error;
use authkv::models::{NewSession, UserPatch};
use tokio::runtime::{Builder, Runtime};

use crate::stores::Store;

cases! {
    a_verification_token_is_taken_by_one_of_many_tasks,
    each_task_sees_what_it_wrote,
    a_refusal_can_be_awaited,
}

fn executor() -> Runtime {
    Builder::new_multi_thread().worker_threads(4).build().unwrap()
}

fn a_verification_token_is_taken_by_one_of_many_tasks(on: &Store) {
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

fn each_task_sees_what_it_wrote(on: &Store) {
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

fn a_refusal_can_be_awaited(on: &Store) {
    let refused = executor().block_on(on.auth.update_user(UserPatch::new("nobody")));
    assert!(matches!(refused, Err(Error::UnknownUser)));
}
