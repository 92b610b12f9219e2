//! What the operator sees: the command line, and what prevents the start.

#[cfg(feature = "providers")]
use crate::browser::Browser;
use crate::server::{Place, run};

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
        (["--listen", "127.0.0.1:0", "--file", missing], "does not exist"),
        (["--listen", port, "--file", fresh.to_str().unwrap()], "another program listens on"),
        (["--listen", "0.0.0.0:0", "--file", fresh.to_str().unwrap()], "open to the network"),
    ] {
        let output = run(&arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains(sentence) && said.starts_with("authkv-web: "), "{arguments:?}: {said}");
        assert_eq!(said.trim_end().lines().count(), 1, "{said}");
        assert!(output.stdout.is_empty());
    }
    assert_eq!(std::fs::read_to_string(foreign).unwrap(), "Dear Ada, this is no database.");
    assert!(!fresh.exists());
}

/// How the help mentions providers.
const PROVIDERS: &str = if cfg!(feature = "providers") { "--issuer" } else { "--features providers" };

#[test]
fn the_arguments_are_explained() {
    let output = run(&["--help"]);
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for part in ["--listen", "127.0.0.1:3000", "--file", "sign_in.redb", "--url", "link by e-mail", PROVIDERS] {
        assert!(help.contains(part), "{part} is not in:\n{help}");
    }
    let output = run(&["--url", "http://login.example.com"]);
    assert_eq!(output.status.code(), Some(2));
}

#[cfg(feature = "providers")]
#[test]
fn providers_that_are_described_wrongly_or_by_half_are_refused_in_one_sentence() {
    let issuer = |url: &'static str| ["--issuer", url, "--client-id", "a"];
    let acme = issuer("https://acme.example");
    let with = |more: &[&'static str]| [&acme, more].concat();
    // With a file that cannot be made, so that one which is accepted does not run for ever.
    let nowhere = ["--listen", "127.0.0.1:0", "--file", "/nowhere/sign_in.redb"];
    for (arguments, sentence) in [
        (vec!["--client-id", "a"], "--client-id follows the --issuer that it is for"),
        (vec!["--provider-name", "Acme"], "--provider-name follows the --issuer that it is for"),
        (vec!["--issuer", "https://acme.example"], "the issuer https://acme.example needs a --client-id"),
        (with(&["--issuer", "https://globex.example"]), "the issuer https://globex.example needs a --client-id"),
        (with(&["--client-id", "b"]), "--client-id is given twice for one --issuer"),
        (with(&acme), "the issuer https://acme.example is given twice"),
        (with(&["--provider-name", "?!"]), "is no --provider-name"),
        (with(&["--client-secret-env", "NO_SUCH_VARIABLE"]), "the environment variable NO_SUCH_VARIABLE has no secret"),
        (issuer("acme.example").to_vec(), "acme.example is no issuer"),
        (issuer("http://acme.example").to_vec(), "http://acme.example is no issuer"),
        (issuer("ftp://acme.example").to_vec(), "ftp://acme.example is no issuer"),
        (
            [with(&["--provider-name", "A b"]), issuer("https://b.example").to_vec(), vec!["--provider-name", "a B"]]
                .concat(),
            "A b and a B are too similar",
        ),
    ] {
        let output = run(&[&nowhere, arguments.as_slice()].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        let (first, usage) = said.split_once('\n').unwrap();
        assert!(first.starts_with("error: ") && first.contains(sentence), "{arguments:?}: {said}");
        assert!(usage.contains("Usage: authkv-web"), "{said}");
    }
}

#[cfg(feature = "providers")]
#[test]
fn each_provider_is_named_with_the_address_that_it_must_know() {
    let place = Place::new();
    let arguments = "--url https://login.example.com --issuer https://acme.example --client-id a \
         --issuer https://globex.example/tenant --client-id b --provider-name Globex-ID";
    let server = place.start_with(&arguments.split_whitespace().collect::<Vec<_>>());
    let mut browser = Browser::at(&server);
    let page = browser.get("/").body;
    assert!(page.contains("Continue with acme.example<") && page.contains("Continue with Globex-ID<"), "{page}");
    assert!(page.contains("action=\"/with/acme-example\"") && page.contains("action=\"/with/globex-id\""), "{page}");
    for known in [
        "acme.example must know https://login.example.com/back/acme-example as a redirect URI.",
        "Globex-ID must know https://login.example.com/back/globex-id as a redirect URI.",
    ] {
        assert!(server.prints(known), "{known}");
    }
}
