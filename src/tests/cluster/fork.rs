//! In a child that was made by fork(2) the engine's thread does not exist, and nothing waits for it.

use std::fmt::Debug;
use std::sync::Arc;

use authkv_fork::fork;

use super::Memory;
use crate::models::NewUser;
use crate::reply::Reply;
use crate::{AuthKv, Error};

fn refused<T: Debug>(reply: Reply<T>) {
    let answer = reply.wait();
    assert!(matches!(answer, Err(Error::Storage(_))), "{answer:?}");
}

#[test]
fn in_a_child_every_call_is_an_error_at_once() {
    let store = AuthKv::options().on_cluster(Arc::new(Memory::new())).unwrap();
    let ada = store.create_user(NewUser::email("ada@example.com")).wait().unwrap();
    let mut mine = Some(store);
    let child = fork(|| {
        let store = mine.take().unwrap();
        refused(store.create_user(NewUser::default()));
        refused(store.get_user(&ada.id));
        refused(store.authenticate("a token"));
        refused(store.purge_expired());
        refused(store.check());
        refused(store.synchronize());
        refused(store.close());
    });
    child.wait();
    let store = mine.unwrap();
    assert_eq!(store.get_user(&ada.id).wait().unwrap(), Some(ada));
    store.close().wait().unwrap();
}
