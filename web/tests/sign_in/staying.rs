//! Signing in, staying signed in, and signing out.

use authkv::models::{NewSession, NewUser};
use chrono::{TimeDelta, Utc};

use crate::browser::{Browser, NO_FIELDS};
use crate::server::Place;
use crate::{ADA, BOB};

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
fn a_visit_extends_a_session_once_an_hour() {
    let place = Place::new();
    let month = TimeDelta::days(30);
    let half_an_hour_old = Utc::now() + month - TimeDelta::minutes(30);
    let two_days_old = Utc::now() + month - TimeDelta::days(2);
    place.prepare(|store| {
        let user = store.create_user(NewUser::email(ADA)).wait().unwrap();
        store.create_session(NewSession::new("young", user.id.clone(), half_an_hour_old)).wait().unwrap();
        store.create_session(NewSession::new("old", user.id, two_days_old)).wait().unwrap();
    });
    let before = Utc::now();
    let mut server = place.start();
    for token in ["young", "old"] {
        let mut browser = Browser::at(&server);
        browser.cookies.insert("authkv-session".into(), token.into());
        let cookie = browser.get("/").set_cookie("authkv-session").to_owned();
        assert!(cookie.contains("Max-Age=2592000"), "{cookie}");
    }
    server.stop();

    place.prepare(|store| {
        let expires = |token| store.get_session_and_user(token).wait().unwrap().unwrap().session.expires;
        assert_eq!(expires("young").timestamp_millis(), half_an_hour_old.timestamp_millis());
        assert!(expires("old") >= before + month - TimeDelta::milliseconds(1) && expires("old") <= Utc::now() + month);
    });
}

#[test]
fn signing_in_as_somebody_else_ends_the_session_before() {
    let place = Place::new();
    let server = place.start();
    let mut browser = Browser::at(&server);
    let first = browser.sign_in(ADA);
    browser.sign_in(BOB);
    assert!(browser.get("/").shows_account_of(BOB));
    browser.cookies.insert("authkv-session".into(), first);
    assert!(browser.get("/").shows_sign_in());
}
