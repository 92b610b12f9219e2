//! Users and passwords, and TLS.

use std::path::Path;

use authkv::conformance::eventually;
use authkv::models::NewUser;
use authkv::{AuthKv, Error, Etcd};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::cluster::Cluster;
use crate::{OwnTest, tests};

pub(crate) const TESTS: &[OwnTest] =
    tests![a_user_sees_the_namespace_that_the_role_allows, members_and_clients_show_each_other_certificates,];

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

fn members_and_clients_show_each_other_certificates() {
    let cluster = Cluster::stopped(&[
        "--cert-file={folder}/server.pem",
        "--key-file={folder}/server.key",
        "--client-cert-auth",
        "--trusted-ca-file={folder}/ca.pem",
    ]);
    let folder = cluster.folder().to_owned();
    let authority = authority("ca", &folder);
    let _stranger = self::authority("stranger", &folder);
    certify("server", &authority, &folder);
    certify("client", &authority, &folder);
    let cluster = cluster.running();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let url = format!("{}?timeout=20s&", cluster.url().replace("etcd://", "etcds://"));
    let trusting = format!("{url}ca={}", path("ca.pem"));
    let known = format!("{trusting}&cert={}&key={}", path("client.pem"), path("client.key"));
    let auth = AuthKv::connect(known.clone()).unwrap();
    let ada = auth.create_user(NewUser::email("ada@example.com")).wait().unwrap();
    assert_eq!(auth.get_user(&ada.id).wait().unwrap(), Some(ada));
    // A client without a certificate, members that are not trusted, and ones with another name than is expected.
    for wrong in [
        trusting,
        known.replace("ca.pem", "stranger.pem"),
        format!("{known}&server_name=elsewhere"),
        url.replace("etcds://", "etcd://"),
    ] {
        let wrong = wrong.replace("timeout=20s", "timeout=1s");
        assert!(AuthKv::connect(wrong.clone()).is_err(), "{wrong}");
    }
}

/// An authority whose certificate is in a file of this name.
fn authority(name: &str, folder: &Path) -> Issuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    std::fs::write(folder.join(format!("{name}.pem")), params.self_signed(&key).unwrap().pem()).unwrap();
    Issuer::new(params, key)
}

/// Writes a certificate for this machine and its key into files of this name.
fn certify(name: &str, authority: &Issuer<'_, KeyPair>, folder: &Path) {
    let params = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
    std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}
