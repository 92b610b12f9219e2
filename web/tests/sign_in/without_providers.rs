//! The program that is built without providers.

use crate::server::run;

#[test]
fn a_provider_is_refused_in_a_sentence_that_names_the_feature() {
    for option in ["--issuer", "--client-id", "--client-secret-env", "--provider-name"] {
        // With a file that cannot be made, so that one which is accepted does not run for ever.
        let output =
            run(&["--listen", "127.0.0.1:0", "--file", "/nowhere/sign_in.redb", option, "https://acme.example"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{option}: {said}");
        let first = said.lines().next().unwrap();
        assert!(first.starts_with(&format!("error: {option} needs")), "{said}");
        assert!(first.ends_with("--features providers"), "{said}");
    }
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
    assert!(!help.contains("--issuer"), "{help}");
}
