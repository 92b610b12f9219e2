//! Kills while removed rows are overwritten. Goal: the file holds a whole store, and what was deleted is erased by the next
//! process. Method: this program starts itself as another process, which signs people up, deletes some, and closes
//! the store, again and again. It spends most of its time in overwriting, and is killed without warning.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use authkv::AuthKv;
use authkv::models::{NewUser, User};
use fastrand::Rng;

const FILE: &str = "AUTHKV_TEST_ERASED_FILE";
const LIFE: &str = "AUTHKV_TEST_ERASED_LIFE";
const LIVES: usize = 15;
const PEOPLE: usize = 400;

fn open(path: &Path) -> AuthKv {
    AuthKv::options().secure_delete(true).open(path).unwrap()
}

fn email(life: usize, n: usize) -> String {
    format!("{life:03}-{n:05}-person@example.com")
}

#[test]
fn a_pass_that_is_killed_leaves_a_whole_store_and_is_made_up_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.redb");
    let mut random = Rng::with_seed(1);
    for life in 0..LIVES {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["erasing::the_process_that_is_killed", "--exact", "--ignored"]).stdout(Stdio::null());
        let mut child = command.env(FILE, &path).env(LIFE, life.to_string()).spawn().unwrap();
        thread::sleep(Duration::from_millis(random.u64(200..1_500)));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let auth = open(&path);
    assert!(auth.check().wait().unwrap().is_sound());
    let all = || (0..LIVES).flat_map(|life| (0..PEOPLE).map(move |n| email(life, n)));
    let (living, gone): (Vec<_>, Vec<_>) =
        all().partition(|email| auth.get_user_by_email(email).wait().unwrap().is_some());
    auth.close().wait().unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    assert!(living.iter().all(|email| text.contains(email.as_str())));
    let left: Vec<_> = gone.iter().filter(|email| text.contains(email.as_str())).collect();
    println!("{LIVES} kills, {} people are there, {} texts of others are left", living.len(), left.len());
    assert!(left.is_empty() && living.len() > 20, "{left:?}");
}

#[test]
#[ignore = "the process that is killed"]
fn the_process_that_is_killed() {
    let (Some(file), Ok(life)) = (env::var_os(FILE), env::var(LIFE)) else { return };
    let life = life.parse().unwrap();
    for first in (0..PEOPLE).step_by(10) {
        let auth = open(file.as_ref());
        let create = |n| auth.create_user(NewUser::email(email(life, n)));
        let replies: Vec<_> = (first..first + 10).map(create).collect();
        let users: Vec<User> = replies.into_iter().map(|reply| reply.wait().unwrap()).collect();
        for user in &users[..7] {
            auth.delete_user(&user.id).wait().unwrap();
        }
        auth.close().wait().unwrap();
    }
}
