//! Forged and twisted sign-ins with a provider: what an attacker does, and what a provider does wrong.

use authkv::models::AccountKey;

use crate::browser::{Browser, NO_FIELDS, attributes, between};
use crate::server::{Place, Server};
use crate::stub::{Person, Stub, Wrong};
use crate::{ADA, BOB};

fn start() -> (Place, Stub, Server) {
    let (place, acme) = (Place::new(), Stub::start("Acme"));
    let server = place.start_with(&acme.arguments());
    (place, acme, server)
}

#[test]
fn nobody_finishes_what_an_attacker_has_begun() {
    let (_place, acme, server) = start();
    let mut eve = Browser::at(&server);
    let begun = acme.agree(&eve.leave("/with/acme"));

    let mut victim = Browser::at(&server);
    let answer = victim.come_back(&begun);
    assert_eq!(answer.status, 403);
    assert!(answer.body.contains("We did not expect you here"), "{}", answer.body);
    victim.leave("/with/acme");
    assert_eq!(victim.come_back(&begun).status, 403, "nor while on the way back with a state of their own");
    victim.cookies.insert("authkv-away".into(), String::new());
    assert_eq!(victim.come_back(&begun).status, 403);
    assert_eq!(victim.get("/back/acme?code=code-0").status, 403, "nor without a state");
    assert_eq!(victim.session(), None);

    assert_eq!(eve.come_back(&begun).location(), "/", "it was proper but for the browser");
}

#[test]
fn a_return_works_once() {
    let (_place, acme, server) = start();
    let mut ada = Browser::at(&server);
    let url = ada.leave("/with/acme");
    let cookie = ada.cookies["authkv-away"].clone();
    let back = acme.agree(&url);
    assert_eq!(ada.come_back(&back).location(), "/");
    assert!(!ada.cookies.contains_key("authkv-away"), "the cookie is gone");

    ada.post("/sign-out", &NO_FIELDS);
    ada.cookies.insert("authkv-away".into(), cookie);
    assert_eq!(ada.come_back(&acme.agree(&url)).status, 403, "the state was taken");
    assert_eq!(ada.session(), None);
}

#[test]
fn a_return_is_good_for_the_provider_that_it_began_with() {
    let (place, acme, globex) = (Place::new(), Stub::start("Acme"), Stub::start("Globex"));
    let server = place.start_with(&[acme.arguments(), globex.arguments()].concat());
    let mut ada = Browser::at(&server);
    let back = acme.agree(&ada.leave("/with/acme"));
    assert_eq!(ada.come_back(&back.replace("/back/acme", "/back/globex")).status, 403);
    assert_eq!(ada.session(), None);
}

#[test]
fn a_stolen_code_is_of_no_use_to_another_browser() {
    let (_place, acme, server) = start();
    let stolen = acme.agree(&Browser::at(&server).leave("/with/acme"));
    let mut eve = Browser::at(&server);
    let own = acme.agree(&eve.leave("/with/acme"));
    let code = |url: &str| between(url, "code=", "&").to_owned();
    assert_ne!(code(&own), code(&stolen));
    assert_eq!(eve.come_back(&own.replace(&code(&own), &code(&stolen))).status, 502, "PKCE binds it to the state");
    assert_eq!(eve.session(), None);
}

#[test]
fn what_a_provider_does_wrong_signs_nobody_in() {
    let (place, acme, mut server) = start();
    let person = Person::with_email("7", ADA);
    for wrong in [
        Wrong::Nonce,
        Wrong::NoNonce,
        Wrong::Audience,
        Wrong::Issuer,
        Wrong::Key,
        Wrong::Unsigned,
        Wrong::Expired,
        Wrong::NoIdToken,
        Wrong::TokenEndpoint,
    ] {
        acme.knows(person.clone());
        acme.does_wrong(wrong);
        let mut browser = Browser::at(&server);
        let answer = browser.go_through("/with/acme", &acme);
        assert_eq!(answer.status, 502, "{wrong:?}");
        assert!(answer.body.contains("Acme does not answer as it should"), "{}", answer.body);
        assert_eq!(browser.session(), None, "{wrong:?}");
        assert!(browser.get("/").shows_sign_in(), "{wrong:?}");
    }
    server.stop();
    place.prepare(|store| assert_eq!(store.get_user_by_email(ADA).wait().unwrap(), None));

    acme.knows(person);
    server = place.start_with(&acme.arguments());
    let mut ada = Browser::at(&server);
    ada.go_through("/with/acme", &acme);
    assert!(ada.get("/").shows_account_of(ADA), "the same without the wrong");
}

#[test]
fn a_provider_leads_this_program_nowhere_else() {
    let (_place, acme, server) = start();
    acme.does_wrong(Wrong::Moved);
    let mut ada = Browser::at(&server);
    ada.get("/");
    assert_eq!(ada.post("/with/acme", &NO_FIELDS).status, 502);
    acme.knows(Person::with_email("7", ADA));
    ada.go_through("/with/acme", &acme);
    assert!(ada.get("/").shows_account_of(ADA), "it is asked again");
}

#[test]
fn an_account_is_linked_to_the_user_who_asked_for_it_and_to_nobody_else() {
    let (place, acme, mut server) = start();
    let mut browser = Browser::at(&server);
    browser.sign_in(ADA);
    let back = acme.agree(&browser.leave("/link/acme"));
    browser.sign_in(BOB);
    assert_eq!(browser.come_back(&back).status, 403, "somebody else is signed in");
    assert!(!browser.get("/").lists_account("Acme"));

    let back = acme.agree(&browser.leave("/link/acme"));
    browser.post("/sign-out", &NO_FIELDS);
    assert_eq!(browser.come_back(&back).status, 403, "nobody is signed in");
    assert_eq!(browser.session(), None);
    assert_eq!(browser.post("/link/acme", &NO_FIELDS).location(), "/", "there is nobody to link to");
    server.stop();
    place.prepare(|store| {
        let account = AccountKey::new(&acme.url, "1");
        let found = store.get_account(&account).wait().unwrap();
        assert_eq!(found.map(|account| account.user_id), None);
    });
}

#[test]
fn the_way_to_a_provider_starts_from_an_own_form_only() {
    let (_place, acme, server) = start();
    let mut ada = Browser::at(&server);
    ada.sign_in(ADA);
    for form in ["/with/acme", "/link/acme"] {
        assert_eq!(ada.get(form).status, 404, "another site can lead anybody to an address");
        assert_eq!(ada.send("POST", form, Some("csrf=wrong")).status, 403);
        assert_eq!(ada.send("POST", form, Some("")).status, 403);
        assert!(!ada.cookies.contains_key("authkv-away"));
    }
    ada.go_through("/link/acme", &acme);
    assert!(ada.get("/").lists_account("Acme"));
}

#[test]
fn the_cookie_of_the_way_back_is_for_this_host_and_short_lived() {
    let (_place, _acme, server) = start();
    let mut ada = Browser::at(&server);
    ada.get("/");
    let cookie = ada.post("/with/acme", &NO_FIELDS).set_cookie("authkv-away").to_owned();
    assert_eq!(attributes(&cookie), ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=600"], "{cookie}");
}
