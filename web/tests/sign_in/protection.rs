//! What protects the visitor: forms, cookies, headers, and what a failure is taken for.

use std::thread;

use crate::ADA;
use crate::browser::{Browser, NO_FIELDS, attributes, encode, fields_of};
use crate::server::{self, Place};

#[test]
fn a_form_without_this_browsers_secret_is_refused_and_changes_nothing() {
    let place = Place::new();
    let server = place.start();
    let mut ada = Browser::at(&server);
    ada.sign_in(ADA);
    ada.post("/name", &[("name", "Ada")]);
    let link = ada.ask_for_link("eve@example.com");
    let mut eve = Browser::at(&server);
    eve.get("/");
    let own = ada.csrf.clone();
    let mut elsewhere = Browser::at(&server);
    elsewhere.sign_in(ADA);
    let (_, session) = ada.other_sessions().remove(0);
    let mails = ada.get("/mailbox").body;

    for secret in [None, Some(""), Some("wrong"), Some(eve.csrf.as_str()), Some(&own[1..])] {
        let csrf = secret.map(|secret| ("csrf", secret));
        let (email, name) = (("email", "eve@example.com"), ("name", "Eve"));
        let with = |fields: &[(&'static str, &str)]| encode(&[csrf.as_slice(), fields].concat());
        for (path, form) in [
            ("/sign-in", with(&[email])),
            ("/name", with(&[name])),
            ("/sign-out", with(&[])),
            ("/end", with(&[("session", session.as_str())])),
            ("/end-others", with(&[])),
            ("/unlink", with(&[("issuer", "a"), ("subject", "b")])),
            ("/link", with(&fields_of(&link).each_ref().map(|(name, value)| (*name, value.as_str())))),
        ] {
            let answer = ada.send("POST", path, Some(&form));
            assert_eq!(answer.status, 403, "{path} with {secret:?}");
            assert!(answer.set_cookies().is_empty(), "{path} with {secret:?}");
        }
    }
    // A browser whose cookie is missing, as with SameSite, is no better off with a secret that was right once.
    let csrf_cookie = ada.cookies.remove("authkv-csrf").unwrap();
    assert_eq!(ada.send("POST", "/sign-out", Some(&encode(&[("csrf", &own)]))).status, 403);
    ada.cookies.insert("authkv-csrf".into(), csrf_cookie);

    assert_eq!(ada.get("/mailbox").body, mails);
    assert!(elsewhere.get("/").shows_account_of(ADA));
    let account = ada.get("/");
    assert!(account.shows_account_of(ADA) && account.body.contains("Hello, Ada<"), "{}", account.body);
    assert_eq!(eve.use_link(&link).status, 303, "the link was not used up");
}

#[test]
fn cookies_are_for_this_host_and_no_script_sees_them() {
    let place = Place::new();
    let server = place.start();
    let mut ada = Browser::at(&server);
    let csrf = ada.get("/").set_cookie("authkv-csrf").to_owned();
    assert_eq!(attributes(&csrf), ["HttpOnly", "SameSite=Lax", "Path=/"], "{csrf}");
    let link = ada.ask_for_link(ADA);
    let session = ada.use_link(&link).set_cookie("authkv-session").to_owned();
    assert_eq!(attributes(&session)[..3], ["HttpOnly", "SameSite=Lax", "Path=/"], "{session}");
    assert_eq!(attributes(&session)[3..], ["Max-Age=2592000"], "{session}");
}

#[test]
fn behind_https_cookies_are_secure_and_bound_to_the_host() {
    let place = Place::new();
    let server = place.start_with(&["--url", "https://login.example.com/"]);
    let mut ada = Browser::at(&server);
    let csrf = ada.get("/").set_cookie("__Host-authkv-csrf").to_owned();
    assert_eq!(attributes(&csrf), ["HttpOnly", "SameSite=Lax", "Secure", "Path=/"], "{csrf}");
    let link = ada.ask_for_link(ADA);
    assert!(ada.get("/mailbox").body.contains("\"https://login.example.com/link?"));
    let session = ada.use_link(&link).set_cookie("__Host-authkv-session").to_owned();
    assert_eq!(attributes(&session)[..4], ["HttpOnly", "SameSite=Lax", "Secure", "Path=/"], "{session}");
    assert!(ada.get("/").shows_account_of(ADA));

    ada.post("/sign-out", &NO_FIELDS);
    ada.cookies.insert("__Host-authkv-session".into(), "stale".into());
    let removal = ada.get("/").set_cookie("__Host-authkv-session").to_owned();
    assert!(removal.contains("Max-Age=0"), "{removal}");
    // Browsers take no cookie of this name, not even its removal, without both.
    assert!(removal.contains("Secure") && removal.contains("Path=/"), "{removal}");
}

#[test]
fn every_answer_carries_the_protecting_headers() {
    let place = Place::new();
    let server = place.start();
    let mut browser = Browser::at(&server);
    let answers = [
        browser.get("/"),
        browser.get("/mailbox"),
        browser.get("/link?email=a&token=b"),
        browser.get("/nothing"),
        browser.get("/sign-out"),
        browser.send("POST", "/sign-out", None),
        browser.send("POST", "/sign-in", Some("csrf=wrong&email=a")),
        browser.send("POST", "/sign-in", Some(&"x".repeat(20_000))),
    ];
    let statuses = answers.each_ref().map(|answer| answer.status);
    assert_eq!(statuses, [200, 200, 200, 404, 404, 415, 403, 413]);
    for answer in answers {
        let policy = answer.header("content-security-policy").unwrap();
        for part in ["default-src 'none'", "style-src 'sha256-", "form-action 'self'", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{policy}");
        }
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[test]
fn the_file_holds_no_token_in_clear() {
    let place = Place::new();
    let mut server = place.start();
    let mut ada = Browser::at(&server);
    let unused = ada.ask_for_link("eve@example.com");
    let used = ada.ask_for_link(ADA);
    ada.use_link(&used);
    let session = ada.session().unwrap().to_owned();
    let [unused, used] = [unused, used].map(|link| fields_of(&link)[1].1.clone());

    let clear = |file: &[u8]| {
        let holds = |text: &str| file.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(holds(ADA), "the search finds what is there");
        [&session, &unused, &used].map(|token| holds(token))
    };
    server.stop();
    assert_eq!(clear(&std::fs::read(&place.file).unwrap()), [false; 3]);
}

/// Goal: a failure of the storage is no sign-out. Method: the running process may suddenly write no byte to its file,
/// as if the disk were full; then it may again.
#[cfg(target_os = "linux")]
#[test]
fn a_storage_failure_shows_an_error_page_and_leaves_the_cookie() {
    use std::time::{Duration, Instant};

    use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

    let place = Place::new();
    let server = place.start_ignoring_file_size_signals();
    let mut ada = Browser::at(&server);
    ada.sign_in(ADA);
    let usual = getrlimit(Resource::Fsize);
    let limit = |bytes| {
        let limit = Rlimit { current: bytes, maximum: usual.maximum };
        prlimit(Some(Pid::from_child(&server.child)), Resource::Fsize, limit).unwrap();
    };
    limit(Some(0));
    for path in ["/name", "/sign-out"] {
        let answer = ada.post(path, &[("name", "Ada")]);
        assert_eq!(answer.status, 500, "{path}: {}", answer.body);
        assert!(answer.body.contains("you are not signed out"), "{}", answer.body);
        assert!(answer.set_cookies().is_empty(), "{:?}", answer.set_cookies());
    }
    limit(usual.current);
    let started = Instant::now();
    while ada.post("/name", &[("name", "Ada")]).status == 500 {
        assert!(started.elapsed() < server::DEADLINE, "the store does not recover");
        thread::sleep(Duration::from_millis(20));
    }
    let account = ada.get("/");
    assert!(account.shows_account_of(ADA) && account.body.contains("Hello, Ada<"), "{}", account.body);
}
