//! Links by e-mail, and the mailbox.

use std::sync::Barrier;
use std::thread;

use authkv::models::{NewUser, SIGN_IN};
use chrono::{TimeDelta, Utc};

use crate::ADA;
use crate::browser::{Browser, fields_of};
use crate::server::Place;

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
        link.replace("ada%40", "adam%40"),
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
    let mut links = Vec::new();
    place.prepare(|store| {
        for valid_for in [TimeDelta::milliseconds(1), TimeDelta::minutes(1)] {
            links.push(store.issue_link_token(SIGN_IN, ADA, valid_for).wait().unwrap());
        }
        while !links[0].is_expired(store.now()) {}
    });
    let server = place.start();
    let mut ada = Browser::at(&server);
    assert_eq!(ada.use_link(&links[0].url("/link")).status, 410);
    assert_eq!(ada.session(), None);
    assert_eq!(ada.use_link(&links[1].url("/link").replace("ada%40", "Ada%40")).status, 303);
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
