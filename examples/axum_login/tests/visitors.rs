//! The program as its visitors use it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use authkv::AuthKv;
use axum::Router;
use axum::http::StatusCode;

#[path = "../src/main.rs"]
#[allow(dead_code)] // its main function
mod axum_login;
#[path = "../../../tests/web/browser.rs"]
#[allow(dead_code)] // the tests of the middleware look at more
mod browser;
#[path = "../../../tests/web/store.rs"]
#[allow(dead_code)]
mod store;

use axum_login::{Site, app};
use browser::Browser;
use store::Place;

const EMAIL: &str = "ada@example.com";

fn open(place: &Place) -> (AuthKv<Site>, Router) {
    let auth = AuthKv::options().models::<Site>().open(&place.path).unwrap();
    (auth.clone(), app(auth).unwrap())
}

async fn enter(browser: &mut Browser, path: &str, email: &str, password: &str) -> StatusCode {
    browser.post(path, &[("email", email), ("password", password)]).await.status
}

async fn is_signed_in(browser: &mut Browser) -> bool {
    browser.get("/").await.ok().contains("You are signed in as ada@example.com.")
}

#[tokio::test]
async fn people_sign_up_in_and_out_with_a_password() {
    let place = Place::new();
    let (auth, app) = open(&place);
    let mut ada = Browser::new(&app);
    assert!(!is_signed_in(&mut ada).await);
    assert_eq!(enter(&mut ada, "/sign-up", EMAIL, "correct horse").await, StatusCode::SEE_OTHER);
    assert!(is_signed_in(&mut ada).await);
    ada.post("/sign-out", &[]).await.ok();
    assert!(!is_signed_in(&mut ada).await);

    let mut other = Browser::new(&app);
    assert_eq!(enter(&mut other, "/sign-up", EMAIL, "another").await, StatusCode::CONFLICT);
    assert_eq!(enter(&mut other, "/sign-up", "", "another").await, StatusCode::UNPROCESSABLE_ENTITY);
    for (email, password) in [(EMAIL, "another"), ("bob@example.com", "correct horse"), (EMAIL, ""), ("", "")] {
        assert_eq!(enter(&mut other, "/sign-in", email, password).await, StatusCode::UNAUTHORIZED);
    }
    assert!(!is_signed_in(&mut other).await);
    assert_eq!(enter(&mut ada, "/sign-in", "Ada@Example.com", "correct horse").await, StatusCode::SEE_OTHER);
    assert!(is_signed_in(&mut ada).await);

    let report = auth.check().wait().unwrap();
    assert!(report.is_sound() && (report.users, report.web_sessions) == (1, 1), "{report:?}");
    auth.close().wait().unwrap();
    assert!(!place.contains(b"correct horse") && place.contains(b"$argon2id$"));
    let (_, app) = open(&place);
    assert!(is_signed_in(&mut ada.on(&app)).await, "they stay signed in when the application is started again");
}

#[tokio::test]
async fn a_new_password_signs_out_everywhere_else() {
    let place = Place::new();
    let (auth, app) = open(&place);
    let (mut here, mut elsewhere, mut stranger) = (Browser::new(&app), Browser::new(&app), Browser::new(&app));
    enter(&mut here, "/sign-up", EMAIL, "old").await;
    enter(&mut elsewhere, "/sign-in", EMAIL, "old").await;
    assert!(is_signed_in(&mut elsewhere).await);
    let change =
        async |browser: &mut Browser, old| browser.post("/password", &[("old", old), ("new", "new")]).await.status;
    assert_eq!(change(&mut stranger, "old").await, StatusCode::UNAUTHORIZED);
    assert_eq!(change(&mut here, "wrong").await, StatusCode::UNAUTHORIZED);
    assert!(is_signed_in(&mut elsewhere).await);
    let before = here.cookie.clone();
    assert_eq!(change(&mut here, "old").await, StatusCode::SEE_OTHER);
    assert_ne!(here.cookie, before);
    assert!(is_signed_in(&mut here).await && !is_signed_in(&mut elsewhere).await);
    assert_eq!(enter(&mut elsewhere, "/sign-in", EMAIL, "old").await, StatusCode::UNAUTHORIZED);
    assert_eq!(enter(&mut elsewhere, "/sign-in", EMAIL, "new").await, StatusCode::SEE_OTHER);
    let ada = auth.get_user_by_email(EMAIL).wait().unwrap().unwrap();
    assert!(!format!("{ada:?} {:?}", ada.extra).contains("argon2"));
}
