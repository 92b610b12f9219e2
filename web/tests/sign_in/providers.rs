//! Signing in with providers of OpenID Connect, and linking several.

use authkv::models::UserId;

use crate::browser::{Answer, Browser, NO_FIELDS, between};
use crate::server::{Place, Server};
use crate::stub::{Person, Stub, Wrong};
use crate::{ADA, BOB};

fn start(place: &Place, providers: &[&Stub]) -> Server {
    let arguments: Vec<String> = providers.iter().flat_map(|provider| provider.arguments()).collect();
    place.start_with(&arguments)
}

fn signed_out(answer: &Answer, browser: &Browser) -> bool {
    answer.set_cookies().iter().all(|cookie| !cookie.starts_with("authkv-session")) && browser.session().is_none()
}

/// Unlinks the only account that the page lists.
fn unlink(browser: &mut Browser) -> Answer {
    let page = browser.get("/").body;
    let value = |name: &str| between(&page, &format!("name=\"{name}\" value=\""), "\"").to_owned();
    let fields = ["issuer", "subject"].map(|name| (name, value(name)));
    browser.post("/unlink", &fields)
}

fn users(place: &Place, browsers: &[&Browser]) -> Vec<UserId> {
    let mut users = Vec::new();
    place.prepare(|store| {
        for browser in browsers {
            let found = store.get_session_and_user(browser.session().unwrap()).wait().unwrap().unwrap();
            users.push(found.user.id);
        }
        assert!(store.check().wait().unwrap().is_sound());
    });
    users
}

#[test]
fn a_person_who_signs_in_with_a_provider_is_the_same_each_time() {
    let (place, acme) = (Place::new(), Stub::start("Acme"));
    acme.knows(Person { name: Some("Ada L."), ..Person::with_email("7", ADA) });
    let mut server = start(&place, &[&acme]);
    let mut first = Browser::at(&server);
    assert!(first.get("/").body.contains("Continue with Acme"));
    let answer = first.go_through("/with/acme", &acme);
    assert_eq!((answer.status, answer.location()), (303, "/"));
    let page = first.get("/");
    assert!(page.shows_account_of(ADA) && page.body.contains("Hello, Ada L.<"), "{}", page.body);
    assert!(page.lists_account("Acme"), "{}", page.body);

    server.stop();
    server = start(&place, &[&acme]);
    // What the provider says of a person now is not taken over.
    acme.knows(Person { name: Some("Countess"), ..Person::with_email("7", BOB) });
    let mut second = Browser::at(&server);
    second.go_through("/with/acme", &acme);
    let page = second.get("/");
    assert!(page.shows_account_of(ADA) && page.body.contains("Hello, Ada L.<"), "{}", page.body);

    acme.knows(Person::with_email("8", BOB));
    let mut other = Browser::at(&server);
    other.go_through("/with/acme", &acme);
    assert!(other.get("/").shows_account_of(BOB));
    server.stop();
    let users = users(&place, &[&first, &second, &other]);
    assert!(users[0] == users[1] && users[0] != users[2], "{users:?}");
}

#[test]
fn a_provider_that_writes_truth_and_instants_as_texts_is_understood() {
    let (place, acme) = (Place::new(), Stub::start("Acme"));
    let server = start(&place, &[&acme]);
    acme.knows(Person::with_email("7", ADA));
    acme.does_wrong(Wrong::Texts);
    let mut ada = Browser::at(&server);
    ada.go_through("/with/acme", &acme);
    assert!(ada.get("/").shows_account_of(ADA));
}

#[test]
fn an_address_that_the_provider_has_not_verified_is_nobodys() {
    let (place, acme) = (Place::new(), Stub::start("Acme"));
    let server = start(&place, &[&acme]);
    Browser::at(&server).sign_in(ADA);
    for (subject, email_verified) in [("1", None), ("2", Some(false))] {
        acme.knows(Person { email_verified, ..Person::with_email(subject, ADA) });
        let mut eve = Browser::at(&server);
        assert_eq!(eve.go_through("/with/acme", &acme).location(), "/");
        assert!(eve.get("/").shows_account_of("none"), "{email_verified:?}");
    }
}

#[test]
fn people_whose_provider_sends_an_empty_address_sign_in_each_as_somebody_else() {
    let (place, acme) = (Place::new(), Stub::start("Acme"));
    let server = start(&place, &[&acme]);
    for (subject, name) in [("1", "One"), ("2", "Two"), ("1", "One")] {
        acme.knows(Person { name: Some(name), ..Person::with_email(subject, "") });
        let mut visitor = Browser::at(&server);
        assert_eq!(visitor.go_through("/with/acme", &acme).location(), "/");
        let page = visitor.get("/");
        assert!(page.shows_account_of("none"), "{subject}");
        assert!(page.body.contains(name) && !page.body.contains("<p class=\"hint\"></p>"), "{subject}");
    }
}

#[test]
fn an_address_that_somebody_has_signs_nobody_in_until_the_account_is_linked() {
    let (place, acme) = (Place::new(), Stub::start("Acme"));
    acme.knows(Person::with_email("7", "Ada@example.com"));
    let server = start(&place, &[&acme]);
    let mut ada = Browser::at(&server);
    ada.sign_in(ADA);
    ada.post("/sign-out", &NO_FIELDS);

    let refused = ada.go_through("/with/acme", &acme);
    assert_eq!(refused.status, 409);
    assert!(refused.body.contains("Sign in with a link first"), "{}", refused.body);
    assert!(signed_out(&refused, &ada) && ada.get("/").shows_sign_in());

    ada.sign_in(ADA);
    assert!(!ada.get("/").lists_account("Acme"));
    assert_eq!(ada.go_through("/link/acme", &acme).location(), "/");
    assert!(ada.get("/").lists_account("Acme"));
    ada.post("/sign-out", &NO_FIELDS);
    ada.go_through("/with/acme", &acme);
    assert!(ada.get("/").shows_account_of(ADA));
}

#[test]
fn a_second_provider_can_take_the_place_of_the_first_but_the_last_one_stays() {
    let (place, acme, globex) = (Place::new(), Stub::start("Acme"), Stub::start("Globex"));
    let mut server = start(&place, &[&acme, &globex]);
    let mut ada = Browser::at(&server);
    ada.go_through("/with/acme", &acme);
    let refused = unlink(&mut ada);
    assert_eq!(refused.status, 409);
    assert!(refused.body.contains("your only way to sign in"), "{}", refused.body);
    assert!(ada.get("/").lists_account("Acme"));

    assert_eq!(ada.go_through("/link/globex", &globex).location(), "/");
    let page = ada.get("/");
    assert!(page.lists_account("Acme") && page.lists_account("Globex"), "{}", page.body);
    assert_eq!(unlink(&mut ada).location(), "/");
    let page = ada.get("/");
    assert!(!page.lists_account("Acme") && page.lists_account("Globex"), "{}", page.body);

    let (mut again, mut stranger) = (Browser::at(&server), Browser::at(&server));
    again.go_through("/with/globex", &globex);
    stranger.go_through("/with/acme", &acme);
    server.stop();
    let users = users(&place, &[&ada, &again, &stranger]);
    assert!(users[0] == users[1] && users[0] != users[2], "{users:?}");
}

#[test]
fn whoever_can_sign_in_with_a_link_may_unlink_every_account() {
    let (place, acme) = (Place::new(), Stub::start("Acme"));
    acme.knows(Person::with_email("7", ADA));
    let server = start(&place, &[&acme]);
    let mut ada = Browser::at(&server);
    ada.go_through("/with/acme", &acme);
    assert_eq!(unlink(&mut ada).location(), "/");
    assert!(!ada.get("/").lists_account("Acme"));
    Browser::at(&server).sign_in(ADA);
}

#[test]
fn nobody_links_or_unlinks_the_account_of_somebody_else() {
    let (place, acme) = (Place::new(), Stub::start("Acme"));
    let server = start(&place, &[&acme]);
    let mut ada = Browser::at(&server);
    ada.go_through("/with/acme", &acme);
    assert_eq!(ada.go_through("/link/acme", &acme).location(), "/", "it is linked already, to the same user");

    let mut bob = Browser::at(&server);
    bob.sign_in(BOB);
    let refused = bob.go_through("/link/acme", &acme);
    assert_eq!(refused.status, 409);
    assert!(refused.body.contains("is linked already"), "{}", refused.body);
    assert!(bob.get("/").shows_account_of(BOB) && !bob.get("/").lists_account("Acme"));

    let fields = [("issuer", acme.url.as_str()), ("subject", "1")];
    assert_eq!(bob.post("/unlink", &fields).location(), "/");
    assert!(ada.get("/").lists_account("Acme"));
}

#[test]
fn a_provider_that_is_down_keeps_nobody_from_signing_in_with_a_link() {
    let (place, acme) = (Place::new(), Stub::start("Acme"));
    let down = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let issuer = format!("http://{down}");
    let options = ["--issuer", issuer.as_str(), "--client-id", "a", "--provider-name", "Broken Ltd"].map(str::to_owned);
    let server = place.start_with(&[acme.arguments(), options.to_vec()].concat());
    let mut ada = Browser::at(&server);
    ada.get("/");
    let answer = ada.post("/with/broken-ltd", &NO_FIELDS);
    assert_eq!(answer.status, 502);
    assert!(answer.body.contains("Broken Ltd does not answer as it should"), "{}", answer.body);
    assert!(signed_out(&answer, &ada));
    ada.sign_in(ADA);
    ada.go_through("/link/acme", &acme);
    assert!(ada.get("/").lists_account("Acme"));
}

#[test]
fn whoever_cancels_at_the_provider_is_not_signed_in() {
    let (place, acme) = (Place::new(), Stub::start("Acme"));
    let server = start(&place, &[&acme]);
    let mut ada = Browser::at(&server);
    let url = ada.leave("/with/acme");
    let cancelled = format!("/back/acme?error=access_denied&state={}", between(&url, "&state=", "&"));
    let answer = ada.get(&cancelled);
    assert_eq!(answer.status, 403);
    assert!(answer.body.contains("Acme did not sign you in"), "{}", answer.body);
    assert!(signed_out(&answer, &ada) && ada.get("/").shows_sign_in());
    ada.go_through("/with/acme", &acme);
    assert!(ada.get("/").shows_account_of("none"));
}

#[test]
fn signing_in_with_a_provider_ends_the_session_before() {
    let (place, acme) = (Place::new(), Stub::start("Acme"));
    let server = start(&place, &[&acme]);
    let mut browser = Browser::at(&server);
    let before = browser.sign_in(ADA);
    browser.go_through("/with/acme", &acme);
    assert!(browser.get("/").shows_account_of("none"));
    browser.cookies.insert("authkv-session".into(), before);
    assert!(browser.get("/").shows_sign_in());
}

#[test]
fn an_unknown_provider_is_no_page() {
    let place = Place::new();
    let server = place.start();
    let mut ada = Browser::at(&server);
    ada.sign_in(ADA);
    for form in ["/with/acme", "/link/acme"] {
        assert_eq!(ada.post(form, &NO_FIELDS).status, 404);
    }
    assert_eq!(ada.get("/back/acme?state=a&code=b").status, 404);
    assert!(!ada.get("/").body.contains("How you sign in"), "there is nothing to choose from");
}
