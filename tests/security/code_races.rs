//! Codes that many ask for, guess at and enter at once.

use authkv::conformance::at_once;
use authkv::models::CodeCheck;

use crate::browser::{ADA, Browser, MINUTES, SIGN_IN, right};
use crate::stores::Store;

cases! {
    of_many_who_enter_the_code_one_is_right,
    two_who_ask_at_once_from_one_browser_both_get_codes_that_work,
    two_browsers_that_ask_at_once_do_not_disturb_each_other,
    of_many_guesses_at_once_no_more_than_five_are_compared,
    asking_for_codes_while_guessing_gives_no_more_guesses,
}

const ROUNDS: usize = 20;

fn of_many_who_enter_the_code_one_is_right(on: &Store) {
    for _ in 0..ROUNDS {
        let mut browser = Browser::default();
        let code = browser.asks(&on.kv, ADA);
        let checks = at_once(|_| browser.types(&on.kv, &code));
        assert_eq!(checks.iter().filter(|check| **check == right(ADA)).count(), 1);
        assert_eq!(checks.iter().filter(|check| **check == CodeCheck::NoCode).count(), checks.len() - 1);
    }
}

fn two_who_ask_at_once_from_one_browser_both_get_codes_that_work(on: &Store) {
    for round in 0..ROUNDS {
        let address = format!("ada-{round}@example.com");
        let mut browser = Browser::default();
        browser.asks(&on.kv, &address);
        let at = |n: usize| (n < 2).then(|| browser.clone().asks_for(&on.kv, SIGN_IN, &address, MINUTES));
        let issued: Vec<_> = at_once(at).into_iter().flatten().collect();
        assert!(issued.iter().all(|issued| Some(issued.request.reveal()) == browser.request.as_deref()));
        assert_eq!(browser.types(&on.kv, issued[round % 2].code.reveal()), right(&address));
        assert_eq!(browser.types(&on.kv, issued[1 - round % 2].code.reveal()), CodeCheck::NoCode);
    }
}

fn two_browsers_that_ask_at_once_do_not_disturb_each_other(on: &Store) {
    for _ in 0..ROUNDS / 4 {
        let asked = at_once(|_| {
            let mut browser = Browser::default();
            let code = browser.asks(&on.kv, ADA);
            (browser, code)
        });
        for (browser, code) in asked {
            assert_eq!(browser.types(&on.kv, &code), right(ADA));
        }
    }
}

fn of_many_guesses_at_once_no_more_than_five_are_compared(on: &Store) {
    let (mut found, mut used_up) = (0, 0);
    for round in 0..2 * ROUNDS {
        let address = format!("ada-{round}@example.com");
        let mut browser = Browser::default();
        let code = browser.asks(&on.kv, &address);
        let guess = |n| if n % 16 == 7 { code.as_str() } else { "a guess" };
        let checks = at_once(|n| browser.types(&on.kv, guess(n)));
        let mut wrong: Vec<_> = checks
            .iter()
            .filter_map(|check| match check {
                CodeCheck::Wrong { guesses_left } => Some(*guesses_left),
                CodeCheck::Right { .. } | CodeCheck::NoCode => None,
            })
            .collect();
        wrong.sort_unstable_by(|left, right| right.cmp(left));
        assert_eq!(wrong, [4, 3, 2, 1, 0][..wrong.len()], "each is counted once");
        match checks.iter().filter(|check| **check == right(&address)).count() {
            0 => used_up += usize::from(wrong.len() == 5),
            1 => found += 1,
            more => panic!("{more} were right"),
        }
        assert_eq!(browser.types(&on.kv, &code), CodeCheck::NoCode);
    }
    assert_eq!(found + used_up, 2 * ROUNDS);
}

fn asking_for_codes_while_guessing_gives_no_more_guesses(on: &Store) {
    for round in 0..ROUNDS {
        let address = format!("ada-{round}@example.com");
        let mut browser = Browser::default();
        browser.asks(&on.kv, &address);
        let wrong = at_once(|n| match n % 4 {
            0 => {
                browser.clone().asks(&on.kv, &address);
                0
            }
            _ => usize::from(matches!(browser.types(&on.kv, "a guess"), CodeCheck::Wrong { .. })),
        });
        assert_eq!(wrong.into_iter().sum::<usize>(), 5);
        assert_eq!(browser.types(&on.kv, "a guess"), CodeCheck::NoCode);
    }
}
