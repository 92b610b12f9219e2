//! Records that do not fit the application's models, on a cluster, where other processes change them as well.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Faulty, Memory};
use crate::engine::remote::cluster::Cluster;
use crate::models::{Change, Dynamic, FieldPatch, FieldRange, Index, Models, NewUser, Proof, UserPatch, Visitor};
use crate::{AuthKv, Error};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Profile {
    phone: String,
    #[serde(default)]
    plan: String,
}

struct App;

impl Models for App {
    const NAME: &'static str = "app";
    const VERSION: u32 = 1;
    type User = Profile;
    type Account = ();
    type Session = ();
    type VerificationToken = ();
}

struct AppByPlan;

impl Models for AppByPlan {
    const NAME: &'static str = "app";
    const VERSION: u32 = 1;
    type User = Profile;
    type Account = ();
    type Session = ();
    type VerificationToken = ();
    const USER_INDEXES: &'static [Index] = &[Index::new("plan")];
}

fn open<M: Models>(cluster: &Arc<dyn Cluster>) -> AuthKv<M> {
    AuthKv::options().models::<M>().on_cluster(Arc::clone(cluster)).unwrap()
}

#[test]
fn a_record_that_another_process_has_spoilt_is_named_and_takes_no_sign_in() {
    let cluster: Arc<dyn Cluster> = Arc::new(Memory::new());
    let auth = open::<App>(&cluster);
    let ada = NewUser { id: Some("ada".into()), ..NewUser::email("ada@example.com") };
    let ada = auth.create_user(ada).wait().unwrap().id;
    let tool = open::<Dynamic>(&cluster);
    let set = |value: i64| UserPatch { extra: FieldPatch::new().set("phone", value), ..UserPatch::new(ada.clone()) };
    tool.update_user(set(7)).wait().unwrap();

    for was_done in [false, true] {
        let error = match was_done {
            false => auth
                .sign_in_with_email(Proof::Own { address: "ada@example.com" }, NewUser::default(), Visitor::default())
                .wait()
                .map(drop),
            true => auth.delete_user(&ada).wait().map(drop),
        };
        let Err(Error::Misfit { record, field, why, done, .. }) = error else { panic!("{error:?}") };
        assert_eq!((record.as_str(), field.as_deref(), done), ("user ada", Some("phone"), was_done));
        assert_eq!(why, "invalid type: integer, expected a string");
        assert_eq!(auth.check().wait().unwrap().sessions, 0);
    }
    assert_eq!(auth.get_user(&ada).wait().unwrap(), None);
}

#[test]
fn processes_that_change_one_record_lose_no_change() {
    const UPDATES: usize = 8;
    let memory = Memory::new();
    for cluster in [Arc::new(memory.clone()) as Arc<dyn Cluster>, Faulty::one_in(&Memory::new(), 6, 1)] {
        let auth = open::<App>(&cluster);
        let ada = auth.create_user(NewUser::default()).wait().unwrap().id;
        thread::scope(|scope| {
            for process in 0..4 {
                let (auth, ada) = (open::<App>(&cluster), ada.clone());
                scope.spawn(move || {
                    for n in 0..UPDATES {
                        let extra = match process {
                            0 => FieldPatch::new().set("phone", n.to_string()),
                            1 => FieldPatch::new().set("plan", n.to_string()),
                            _ => FieldPatch::new(),
                        };
                        let patch = UserPatch { name: Change::to("Ada"), extra, ..UserPatch::new(ada.clone()) };
                        auth.update_user(patch).wait().unwrap();
                    }
                });
            }
        });
        let last = (UPDATES - 1).to_string();
        let user = auth.get_user(&ada).wait().unwrap().unwrap();
        assert_eq!(user.extra, Profile { phone: last.clone(), plan: last });
    }
}

#[test]
fn a_change_is_made_although_nobody_waits_for_it() {
    let cluster: Arc<dyn Cluster> = Arc::new(Memory::new());
    let auth = open::<App>(&cluster);
    let ada = auth.create_user(NewUser::default()).wait().unwrap().id;
    for (field, value) in [("phone", "1"), ("plan", "2")] {
        let extra = FieldPatch::new().set(field, value);
        drop(auth.update_user(UserPatch { extra, ..UserPatch::new(ada.clone()) }));
    }
    let both = Profile { phone: "1".to_owned(), plan: "2".to_owned() };
    let deadline = Instant::now() + Duration::from_secs(20);
    while auth.get_user(&ada).wait().unwrap().unwrap().extra != both {
        assert!(Instant::now() < deadline, "a change was dropped");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_index_on_a_field_with_a_default_finds_the_records_that_did_not_have_it() {
    let cluster: Arc<dyn Cluster> = Arc::new(Memory::new());
    let tool = open::<Dynamic>(&cluster);
    for _ in 0..100 {
        let extra = [("phone".to_owned(), "1".into())].into();
        tool.create_user(NewUser { extra, ..NewUser::default() }).wait().unwrap();
    }
    drop(open::<App>(&cluster));
    let auth = open::<AppByPlan>(&cluster);
    let users = auth.list_users_by("plan", FieldRange::only(""), None, 1_000).wait().unwrap();
    assert_eq!(users.items.len(), 100);
    assert!(auth.check().wait().unwrap().is_sound());
}
