//! The list of a person's sessions, and signing out elsewhere.

use crate::browser::{Browser, NO_FIELDS, between};
use crate::server::{Place, Server};
use crate::{ADA, BOB};

const FIREFOX: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0";
const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
     Version/26.0 Mobile/15E148 Safari/604.1";

fn sign_in(server: &Server, email: &str, user_agent: &'static str) -> Browser {
    let mut browser = Browser::at(server);
    browser.user_agent = user_agent;
    browser.sign_in(email);
    browser
}

#[test]
fn sessions_are_listed_by_their_browsers_and_this_one_is_marked() {
    let place = Place::new();
    let server = place.start();
    let mut firefox = sign_in(&server, ADA, FIREFOX);
    let mut iphone = sign_in(&server, ADA, IPHONE);
    sign_in(&server, BOB, IPHONE);

    for (browser, here, other) in [
        (&mut firefox, "Firefox on Windows", "Safari on iPhone"),
        (&mut iphone, "Safari on iPhone", "Firefox on Windows"),
    ] {
        let page = browser.get("/").body;
        let marked: Vec<&str> = page.split("<li>").filter(|item| item.contains("this device")).collect();
        assert_eq!(marked.len(), 1, "{page}");
        assert_eq!(between(marked[0], "<strong>", "<"), here);
        assert!(!marked[0].split("</li>").next().unwrap().contains("/end"), "it has a button of its own");
        let others = browser.other_sessions();
        assert_eq!(others.iter().map(|(browser, _)| browser.as_str()).collect::<Vec<_>>(), [other]);
    }
}

#[test]
fn a_browser_is_described_in_known_words() {
    let place = Place::new();
    let server = place.start();
    let mut here = sign_in(&server, ADA, "");
    const CHROME: &str =
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/148.0.0.0 Safari/537.36";
    for (user_agent, description) in [
        (CHROME, "Chrome on Linux"),
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/148.0 Safari/537.36 Edg/148.0",
            "Edge on Windows",
        ),
        (
            "Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/148.0 Mobile Safari/537.36",
            "Chrome on Android",
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15",
            "Safari on macOS",
        ),
        ("curl/8.5.0", "A browser"),
        ("<b>mine</b> on Linux", "A browser on Linux"),
    ] {
        sign_in(&server, ADA, user_agent);
        let others = here.other_sessions();
        assert_eq!(others.len(), 1, "{others:?}");
        assert_eq!(others[0].0, description);
        here.post("/end-others", &NO_FIELDS);
    }
}

#[test]
fn signing_out_another_device_ends_its_session_and_no_other() {
    let place = Place::new();
    let server = place.start();
    let [mut here, mut firefox, mut iphone] = ["", FIREFOX, IPHONE].map(|agent| sign_in(&server, ADA, agent));
    let others = here.other_sessions();
    let (_, id) = others.iter().find(|(browser, _)| browser == "Firefox on Windows").unwrap();
    for _ in 0..2 {
        assert_eq!(here.post("/end", &[("session", id)]).location(), "/");
        assert!(firefox.get("/").shows_sign_in());
        assert!(iphone.get("/").shows_account_of(ADA) && here.get("/").shows_account_of(ADA));
    }
}

#[test]
fn signing_out_everywhere_else_leaves_this_device_signed_in() {
    let place = Place::new();
    let server = place.start();
    let mut bob = sign_in(&server, BOB, FIREFOX);
    let [mut here, mut firefox, mut iphone] = ["", FIREFOX, IPHONE].map(|agent| sign_in(&server, ADA, agent));
    assert_eq!(here.post("/end-others", &NO_FIELDS).location(), "/");
    assert!(firefox.get("/").shows_sign_in() && iphone.get("/").shows_sign_in());
    let page = here.get("/");
    assert!(page.shows_account_of(ADA) && !page.body.contains("/end-others"), "{}", page.body);
    assert!(bob.get("/").shows_account_of(BOB));
}

#[test]
fn nobody_ends_the_session_of_somebody_else() {
    let place = Place::new();
    let server = place.start();
    let [mut ada, _] = ["", FIREFOX].map(|agent| sign_in(&server, ADA, agent));
    let (_, id) = ada.other_sessions().remove(0);
    let mut bob = sign_in(&server, BOB, IPHONE);
    let mut nobody = Browser::at(&server);
    nobody.get("/");
    assert_eq!(bob.post("/end", &[("session", &id)]).location(), "/");
    for path in ["/end", "/end-others"] {
        assert_eq!(nobody.post(path, &[("session", &id)]).location(), "/");
    }
    assert_eq!(ada.other_sessions().len(), 1);
}
