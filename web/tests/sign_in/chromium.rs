//! The program in a real Chromium, at the width of a laptop and of a phone: the whole way through both sign-ins, and one
//! device that signs out the other. What it sees is kept as pictures in `target/tmp/sign_in`.

use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::driver::{Device, Driver, LAPTOP, PHONE};
use crate::server::{DEADLINE, Place};
use crate::stub::{Person, Stub};

/// Longer than a phone is wide.
const EMAIL: &str = "augusta-ada-king-countess-of-lovelace@analytical-engine.example.com";

#[test]
fn a_laptop_and_a_phone_sign_in_both_ways_and_one_signs_out_the_other() {
    let (place, acme) = (Place::new(), Stub::start("Acme"));
    acme.knows(Person { name: Some("Ada Lovelace"), ..Person::with_email("7", EMAIL) });
    let server = place.start_with(&acme.arguments());
    let driver = Driver::start();
    let url = server.url.clone();
    Runtime::new().unwrap().block_on(async {
        let laptop = driver.device(LAPTOP, &url).await;
        let phone = driver.device(PHONE, &url).await;
        let clients = [laptop.client.clone(), phone.client.clone()];
        let walk = tokio::spawn(timeout(3 * DEADLINE, walk(laptop, phone)));
        let walked = walk.await;
        // Also after a failure: a browser that is not told so does not end.
        for client in clients {
            client.close().await.unwrap();
        }
        walked.unwrap().expect("it takes too long");
    });
}

async fn walk(laptop: Device, phone: Device) {
    // The laptop signs in with a link, and links the provider.
    laptop.sign_in_with_link(EMAIL).await;
    laptop.fill("name", "Ada").await;
    laptop.press("Save").await;
    laptop.wait_for_heading("Hello, Ada").await;
    laptop.press("Link Acme").await;
    laptop.follow("#agree").await;
    laptop.wait_for_heading("Hello, Ada").await;
    laptop.look("account").await;
    assert_eq!(laptop.buttons("Unlink").await, 1);

    // The phone signs in with that provider, as the same person.
    phone.open().await;
    phone.press("Continue with Acme").await;
    phone.follow("#cancel").await;
    phone.wait_for_heading("Acme did not sign you in").await;
    phone.look("cancelled").await;
    phone.open().await;
    phone.press("Continue with Acme").await;
    phone.follow("#agree").await;
    phone.wait_for_heading("Hello, Ada").await;
    phone.look("account").await;
    assert!(phone.text("dl").await.contains(EMAIL));
    assert_eq!(phone.text(".badge").await, "this device");

    // One signs out the other, and is signed in still.
    phone.press("Sign out everywhere else").await;
    phone.wait_until_gone("Sign out everywhere else").await;
    laptop.open().await;
    laptop.wait_for_heading("Sign in").await;
    phone.open().await;
    phone.wait_for_heading("Hello, Ada").await;

    // And the other way round, by the button beside the session; the phone is signed in with a link now.
    phone.press_last("Sign out").await;
    phone.wait_for_heading("Sign in").await;
    phone.sign_in_with_link(EMAIL).await;
    laptop.press("Continue with Acme").await;
    laptop.follow("#agree").await;
    laptop.wait_for_heading("Hello, Ada").await;
    laptop.look("account-of-two").await;
    assert_eq!(laptop.text(".badge").await, "this device");
    laptop.press("Sign out").await;
    laptop.wait_until_gone("Sign out everywhere else").await;
    phone.open().await;
    phone.wait_for_heading("Sign in").await;
}
