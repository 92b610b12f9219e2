//! The example `sign_in` over real HTTP, in a process of its own: what a visitor, an attacker and an operator see.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod browser;
mod server;

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::thread;

use authkv::Adapter;
use authkv::models::NewUser;
use authkv::models::{NewSession, VerificationToken};
use chrono::{TimeDelta, Utc};

use browser::{Browser, NO_FIELDS, attributes, between, encode, fields_of};
use server::{Place, run};

const ADA: &str = "ada@example.com";

// Signing in and staying signed in

#[test]
fn a_sign_in_outlives_the_process_stopped_or_killed() {
    let place = Place::new();
    let mut server = place.start();
    let mut ada = Browser::at(&server);
    ada.sign_in(ADA);
    assert_eq!(ada.post("/name", &[("name", " Ada <Lovelace> ")]).location(), "/");

    server.stop();
    server = place.start();
    ada.moves_to(&server);
    let account = ada.get("/");
    assert!(account.shows_account_of(ADA), "{}", account.body);
    assert!(account.body.contains("Hello, Ada &lt;Lovelace&gt;"), "{}", account.body);

    server.kill();
    server = place.start();
    ada.moves_to(&server);
    assert!(ada.get("/").shows_account_of(ADA));
}

#[test]
fn an_empty_name_removes_it_and_a_long_one_is_cut() {
    let place = Place::new();
    let server = place.start();
    let mut ada = Browser::at(&server);
    ada.sign_in(ADA);
    ada.post("/name", &[("name", &"é".repeat(101))]);
    let account = ada.get("/").body;
    assert!(account.contains(&format!("Hello, {}<", "é".repeat(100))), "{account}");
    ada.post("/name", &[("name", "  ")]);
    assert!(ada.get("/").body.contains("<h1>Hello</h1>"));
}

#[test]
fn signing_out_ends_the_session_and_not_only_the_cookie() {
    let place = Place::new();
    let server = place.start();
    let mut ada = Browser::at(&server);
    let token = ada.sign_in(ADA);
    let answer = ada.post("/sign-out", &NO_FIELDS);
    assert_eq!((answer.status, answer.location()), (303, "/"));
    assert_eq!(ada.session(), None, "the cookie is gone");

    let mut thief = Browser::at(&server);
    thief.cookies.insert("authkv-session".into(), token);
    assert!(thief.get("/").shows_sign_in());
    assert_eq!(thief.session(), None, "a stale cookie is removed");
}

#[test]
fn a_forged_or_expired_cookie_gets_the_sign_in_page_and_is_removed() {
    let place = Place::new();
    place.prepare(|store| {
        let user = store.create_user(NewUser::email(ADA)).wait().unwrap();
        let expired = Utc::now() - TimeDelta::seconds(1);
        store.create_session(NewSession::new("expired", user.id.clone(), expired)).wait().unwrap();
        let valid = Utc::now() + TimeDelta::hours(1);
        store.create_session(NewSession::new("valid", user.id, valid)).wait().unwrap();
    });
    let server = place.start();
    for (token, signed_in) in [("valid", true), ("expired", false), ("forged", false), ("", false)] {
        let mut browser = Browser::at(&server);
        browser.cookies.insert("authkv-session".into(), token.into());
        let answer = browser.get("/");
        assert_eq!((answer.shows_account_of(ADA), answer.shows_sign_in()), (signed_in, !signed_in), "{token:?}");
        assert_eq!(browser.session().is_some(), signed_in, "{token:?}");
        if !signed_in {
            let removal = answer.set_cookie("authkv-session");
            assert!(removal.contains("Max-Age=0") && removal.contains("Path=/"), "{removal}");
        }
    }
}

#[test]
fn a_visit_extends_a_session_once_a_day() {
    let place = Place::new();
    let month = TimeDelta::days(30);
    let half_a_day_old = Utc::now() + month - TimeDelta::hours(12);
    let two_days_old = Utc::now() + month - TimeDelta::days(2);
    place.prepare(|store| {
        let user = store.create_user(NewUser::email(ADA)).wait().unwrap();
        store.create_session(NewSession::new("young", user.id.clone(), half_a_day_old)).wait().unwrap();
        store.create_session(NewSession::new("old", user.id, two_days_old)).wait().unwrap();
    });
    let before = Utc::now();
    let mut server = place.start();
    let mut ages = BTreeMap::new();
    for token in ["young", "old"] {
        let mut browser = Browser::at(&server);
        browser.cookies.insert("authkv-session".into(), token.into());
        let cookie = browser.get("/").set_cookie("authkv-session").to_owned();
        ages.insert(token, between(&cookie, "Max-Age=", ";").parse::<i64>().unwrap());
    }
    server.stop();

    let full_day = TimeDelta::days(1).num_seconds();
    assert!(ages["young"] > 29 * full_day && ages["young"] <= 30 * full_day - full_day / 2, "{ages:?}");
    assert!(ages["old"] > 30 * full_day - 120 && ages["old"] <= 30 * full_day, "{ages:?}");
    place.prepare(|store| {
        let expires = |token| store.get_session_and_user(token).wait().unwrap().unwrap().session.expires;
        assert_eq!(expires("young").timestamp_millis(), half_a_day_old.timestamp_millis());
        assert!(expires("old") >= before + month - TimeDelta::milliseconds(1) && expires("old") <= Utc::now() + month);
    });
}

#[test]
fn signing_in_as_somebody_else_ends_the_session_before() {
    let place = Place::new();
    let server = place.start();
    let mut browser = Browser::at(&server);
    let first = browser.sign_in(ADA);
    browser.sign_in("bob@example.com");
    assert!(browser.get("/").shows_account_of("bob@example.com"));
    browser.cookies.insert("authkv-session".into(), first);
    assert!(browser.get("/").shows_sign_in());
}

// Links

#[test]
fn a_link_works_once() {
    let place = Place::new();
    let server = place.start();
    let mut ada = Browser::at(&server);
    let link = ada.ask_for_link(ADA);
    assert_eq!(ada.use_link(&link).status, 303);
    assert!(ada.get("/").shows_account_of(ADA));

    let mut late = Browser::at(&server);
    let refused = late.use_link(&link);
    assert_eq!(refused.status, 410);
    assert_eq!(late.session(), None);
    assert!(late.get("/").shows_sign_in());
}

#[test]
fn a_link_works_only_with_the_address_it_was_sent_to() {
    let place = Place::new();
    let server = place.start();
    let mut ada = Browser::at(&server);
    let link = ada.ask_for_link(ADA);
    for other in [
        link.replace("ada%40", "eve%40"),
        link.replace("ada%40", "Ada%40"),
        format!("{link}x"),
        "/link".into(),
        "/link?email=%FF&token=%00".into(),
    ] {
        assert_eq!(ada.use_link(&other).status, 410, "{other}");
        assert_eq!(ada.session(), None);
    }
    assert_eq!(ada.use_link(&link).status, 303);
}

#[test]
fn an_expired_link_is_refused() {
    let place = Place::new();
    place.prepare(|store| {
        let expired = Utc::now() - TimeDelta::seconds(1);
        store.create_verification_token(VerificationToken::new(ADA, "expired", expired)).wait().unwrap();
        let valid = Utc::now() + TimeDelta::minutes(1);
        store.create_verification_token(VerificationToken::new(ADA, "valid", valid)).wait().unwrap();
    });
    let server = place.start();
    let mut ada = Browser::at(&server);
    assert_eq!(ada.use_link("/link?email=ada%40example.com&token=expired").status, 410);
    assert_eq!(ada.session(), None);
    assert_eq!(ada.use_link("/link?email=ada%40example.com&token=valid").status, 303);
}

#[test]
fn opening_a_link_does_not_use_it_up() {
    let place = Place::new();
    let server = place.start();
    let mut ada = Browser::at(&server);
    let link = ada.ask_for_link(ADA);
    for method in ["HEAD", "GET", "GET", "HEAD"] {
        let answer = Browser::at(&server).send(method, &link, None);
        assert_eq!(answer.status, 200, "{method}");
    }
    assert_eq!(ada.use_link(&link).status, 303);
}

#[test]
fn one_of_many_concurrent_uses_of_a_link_wins() {
    const BROWSERS: usize = 8;
    let place = Place::new();
    let server = place.start();
    let link = Browser::at(&server).ask_for_link(ADA);
    let together = Barrier::new(BROWSERS);
    let statuses: Vec<u16> = thread::scope(|scope| {
        let uses: Vec<_> = (0..BROWSERS)
            .map(|_| {
                scope.spawn(|| {
                    let mut browser = Browser::at(&server);
                    browser.get(&link);
                    together.wait();
                    let status = browser.post("/link", &fields_of(&link)).status;
                    assert_eq!(browser.session().is_some(), status == 303);
                    status
                })
            })
            .collect();
        uses.into_iter().map(|used| used.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 303).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 410).count(), BROWSERS - 1, "{statuses:?}");
}

#[test]
fn two_links_to_a_new_address_used_at_once_make_one_user() {
    let place = Place::new();
    let mut server = place.start();
    let links = ["Ada@example.com", ADA].map(|email| Browser::at(&server).ask_for_link(email));
    let together = Barrier::new(links.len());
    let tokens = thread::scope(|scope| {
        let uses = links.each_ref().map(|link| {
            scope.spawn(|| {
                let mut browser = Browser::at(&server);
                browser.get(link);
                together.wait();
                assert_eq!(browser.post("/link", &fields_of(link)).status, 303);
                browser.session().unwrap().to_owned()
            })
        });
        uses.map(|used| used.join().unwrap())
    });
    server.stop();
    place.prepare(|store| {
        let users = tokens.each_ref().map(|token| store.get_session_and_user(token).wait().unwrap().unwrap().user);
        assert_eq!(users[0], users[1]);
        assert!(store.check().wait().unwrap().is_sound());
    });
}

#[test]
fn a_link_verifies_the_address_of_a_user_who_exists() {
    let place = Place::new();
    place.prepare(|store| {
        store.create_user(NewUser { name: Some("Ada".into()), ..NewUser::email(ADA) }).wait().unwrap();
    });
    let before = Utc::now() - TimeDelta::milliseconds(1);
    let mut server = place.start();
    let mut ada = Browser::at(&server);
    ada.sign_in(ADA);
    assert!(ada.get("/").body.contains("Hello, Ada<"));
    server.stop();
    let verified = || {
        let mut verified = None;
        place.prepare(|store| {
            verified = store.get_user_by_email(ADA).wait().unwrap().unwrap().email_verified;
        });
        verified
    };
    let first = verified();
    assert!(first >= Some(before), "{first:?}");

    server = place.start();
    Browser::at(&server).sign_in(ADA);
    server.stop();
    assert_eq!(verified(), first, "the first proof is kept");
}

#[test]
fn what_is_no_address_gets_no_mail() {
    let place = Place::new();
    let server = place.start();
    let mut browser = Browser::at(&server);
    let long = format!("{}@example.com", "a".repeat(250));
    for email in ["", "ada", "@example.com", "ada@", "a@b@c", "ada @example.com", "ada@exa\r\nmple.com", &long] {
        browser.get("/");
        let answer = browser.post("/sign-in", &[("email", email)]);
        assert_eq!(answer.status, 422, "{email:?}");
        assert!(answer.shows_sign_in() && answer.body.contains("aria-invalid"), "{email:?}");
    }
    assert!(browser.get("/mailbox").body.contains("No mail yet"));
}

#[test]
fn the_mailbox_keeps_the_last_twenty_mails() {
    let place = Place::new();
    let server = place.start();
    let mut browser = Browser::at(&server);
    for number in 0..22 {
        browser.ask_for_link(&format!("visitor-{number}@example.com"));
    }
    let mails = browser.get("/mailbox").body;
    assert_eq!(mails.matches("<article>").count(), 20);
    assert!(mails.contains("visitor-2@") && !mails.contains("visitor-1@"));
}

#[test]
fn a_forged_host_does_not_get_into_a_link() {
    let place = Place::new();
    let server = place.start();
    let mut browser = Browser::at(&server);
    browser.get("/");
    browser.host = Some("evil.example".into());
    assert_eq!(browser.post("/sign-in", &[("email", ADA)]).location(), "/mailbox");
    let mails = browser.get("/mailbox").body;
    assert!(!mails.contains("evil.example") && mails.contains(&format!("{}/link?", server.url)), "{mails}");
}

// What protects the visitor

#[test]
fn a_form_without_this_browsers_secret_is_refused_and_changes_nothing() {
    let place = Place::new();
    let server = place.start();
    let mut ada = Browser::at(&server);
    ada.sign_in(ADA);
    ada.post("/name", &[("name", "Ada")]);
    let link = ada.ask_for_link("eve@example.com");
    let mails = ada.get("/mailbox").body;
    let mut eve = Browser::at(&server);
    eve.get("/");
    let own = ada.csrf.clone();

    for secret in [None, Some(""), Some("wrong"), Some(eve.csrf.as_str()), Some(&own[1..])] {
        let csrf = secret.map(|secret| ("csrf", secret));
        let (email, name) = (("email", "eve@example.com"), ("name", "Eve"));
        let with = |fields: &[(&'static str, &str)]| encode(&[csrf.as_slice(), fields].concat());
        for (path, form) in [
            ("/sign-in", with(&[email])),
            ("/name", with(&[name])),
            ("/sign-out", with(&[])),
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
    assert!(matches!(attributes(&session)[3..], ["Max-Age=2592000" | "Max-Age=2591999"]), "{session}");
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

// What the operator sees

#[test]
fn what_prevents_the_start_is_said_in_one_sentence() {
    let place = Place::new();
    let server = place.start();
    let port = server.url.strip_prefix("http://").unwrap();
    let foreign = place.folder.path().join("letter.txt");
    std::fs::write(&foreign, "Dear Ada, this is no database.").unwrap();
    let foreign = foreign.to_str().unwrap();
    let missing = place.folder.path().join("missing").join("sign_in.redb");
    let missing = missing.to_str().unwrap();
    let folder = place.folder.path().to_str().unwrap();
    let fresh = place.folder.path().join("fresh.redb");
    let file = place.file.to_str().unwrap();

    for (arguments, sentence) in [
        (["--listen", "127.0.0.1:0", "--file", file], "already open"),
        (["--listen", "127.0.0.1:0", "--file", foreign], "not a redb database"),
        (["--listen", "127.0.0.1:0", "--file", folder], "is a folder"),
        (["--listen", "127.0.0.1:0", "--file", missing], "cannot be made"),
        (["--listen", port, "--file", fresh.to_str().unwrap()], "another program listens on"),
        (["--listen", "0.0.0.0:0", "--file", fresh.to_str().unwrap()], "open to the network"),
    ] {
        let output = run(&arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains(sentence) && said.starts_with("sign_in: "), "{arguments:?}: {said}");
        assert_eq!(said.trim_end().lines().count(), 1, "{said}");
        assert!(output.stdout.is_empty());
    }
    assert_eq!(std::fs::read_to_string(foreign).unwrap(), "Dear Ada, this is no database.");
    assert!(!fresh.exists());
}

#[test]
fn the_arguments_are_explained() {
    let output = run(&["--help"]);
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for part in ["--listen", "127.0.0.1:3000", "--file", "sign_in.redb", "--url", "link by e-mail"] {
        assert!(help.contains(part), "{part} is not in:\n{help}");
    }
    let output = run(&["--url", "http://login.example.com"]);
    assert_eq!(output.status.code(), Some(2));
}
