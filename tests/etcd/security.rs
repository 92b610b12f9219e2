//! Users and passwords, and TLS.

use authkv::conformance::eventually;
use authkv::models::NewUser;
use authkv::{Adapter, AuthKv, Error, Etcd};

use crate::cluster::Cluster;
use crate::{OwnTest, tests};

pub(crate) const TESTS: &[OwnTest] = tests![a_user_sees_the_namespace_that_the_role_allows];

fn a_user_sees_the_namespace_that_the_role_allows() {
    // Tokens are forgotten after a second, so that the client needs new ones all the time.
    let cluster = Cluster::with_options(&["--auth-token-ttl", "1"]);
    let do_it = |what: &str, message: &str| {
        eventually(what, || cluster.ask(0, what, message).is_some_and(|answer| answer.get("error").is_none()));
    };
    let (start, end) = (base64("mine/"), base64("mine0"));
    do_it("auth/user/add", r#"{"name": "root", "password": "r"}"#);
    do_it("auth/role/add", r#"{"name": "root"}"#);
    do_it("auth/user/grant", r#"{"user": "root", "role": "root"}"#);
    do_it("auth/user/add", r#"{"name": "app", "password": "p"}"#);
    do_it("auth/role/add", r#"{"name": "app"}"#);
    do_it(
        "auth/role/grant",
        &format!(r#"{{"name": "app", "perm": {{"permType": "READWRITE", "key": "{start}", "range_end": "{end}"}}}}"#),
    );
    do_it("auth/user/grant", r#"{"user": "app", "role": "app"}"#);
    do_it("auth/enable", "{}");
    let etcd = |namespace| Etcd::new([cluster.host(0), cluster.host(1), cluster.host(2)], namespace);
    let auth = AuthKv::connect(etcd("mine").user("app", "p")).unwrap();
    let ada = auth.create_user(NewUser::email("ada@example.com")).wait().unwrap();
    assert_eq!(auth.warnings().len(), 1, "{:?}", auth.warnings());
    std::thread::sleep(std::time::Duration::from_millis(2_500));
    assert_eq!(auth.get_user(&ada.id).wait().unwrap(), Some(ada));
    auth.create_user(NewUser::email("bob@example.com")).wait().unwrap();
    for refused in [etcd("mine").user("app", "wrong"), etcd("mine"), etcd("other").user("app", "p")] {
        let error = AuthKv::connect(refused.clone()).unwrap_err();
        assert!(matches!(error, Error::Open { .. }), "{refused:?}: {error}");
    }
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}
