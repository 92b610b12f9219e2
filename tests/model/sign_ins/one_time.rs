//! Values that work once: codes and states.

use authkv::models::{CodeCheck, IssuedCode};
use chrono::{DateTime, Utc};

use super::{GUESSES_MAX, Run, VALID_FOR};

const PURPOSES: [&str; 2] = ["github", "google"];

pub(crate) struct Code {
    identifier: String,
    code: String,
    expires: DateTime<Utc>,
    wrong: u32,
}

pub(crate) struct State {
    handle: String,
    purpose: &'static str,
    value: u8,
    expires: DateTime<Utc>,
}

impl Run<'_> {
    pub(crate) fn issue_code(&mut self, identifier: &str) {
        let now = self.clock.now();
        let issued = self.auth.issue_code(identifier, VALID_FOR).wait().unwrap();
        let identifier = identifier.to_ascii_lowercase();
        let old = self.codes.iter().position(|code| code.identifier == identifier);
        let old = old.map(|place| self.codes.remove(place)).filter(|old| old.expires >= now);
        match (issued, old) {
            (IssuedCode::Locked { until }, Some(old)) => {
                assert!(old.wrong == GUESSES_MAX && until == old.expires);
                self.codes.push(old);
                self.note("locked");
            }
            (IssuedCode::Code { code, expires }, old) => {
                let wrong = old.map_or(0, |old| old.wrong);
                assert!(wrong < GUESSES_MAX && expires == now + VALID_FOR);
                self.codes.push(Code { identifier, code: code.reveal().to_owned(), expires, wrong });
                self.note("code issued");
            }
            (IssuedCode::Locked { .. }, None) => panic!("locked for nothing"),
        }
    }

    pub(crate) fn guess(&mut self, identifier: &str, byte: u8) {
        let now = self.clock.now();
        let place = self.codes.iter().position(|code| code.identifier == identifier.to_ascii_lowercase());
        let guess = place.filter(|_| byte < 64).map_or("a guess".to_owned(), |place| self.codes[place].code.clone());
        let check = self.auth.verify_code(identifier, &guess).wait().unwrap();
        let expected = match place.map(|place| &mut self.codes[place]) {
            Some(code) if code.expires >= now && code.wrong < GUESSES_MAX => {
                if guess == code.code {
                    self.codes.remove(place.unwrap());
                    CodeCheck::Right
                } else {
                    code.wrong += 1;
                    CodeCheck::Wrong { guesses_left: GUESSES_MAX - code.wrong }
                }
            }
            _ => CodeCheck::NoCode,
        };
        assert_eq!(check, expected);
        self.note(match check {
            CodeCheck::Right => "right code",
            CodeCheck::Wrong { .. } => "wrong code",
            CodeCheck::NoCode => "no code",
        });
    }

    pub(crate) fn put_state(&mut self, a: u8, value: u8) {
        let purpose = PURPOSES[usize::from(a) % 2];
        let handle = self.auth.put_state(purpose, &value, VALID_FOR).wait().unwrap();
        let (handle, expires) = (handle.reveal().to_owned(), self.clock.now() + VALID_FOR);
        self.states.push(State { handle, purpose, value, expires });
    }

    pub(crate) fn take_state(&mut self, a: usize, b: u8) {
        let place = a % self.states.len().max(1);
        let (Some(state), purpose) = (self.states.get(place), PURPOSES[usize::from(b) % 2]) else { return };
        let taken = self.auth.take_state::<u8>(purpose, &state.handle).wait().unwrap().passed();
        if state.purpose == purpose {
            let state = self.states.remove(place);
            assert_eq!(taken, Some(state.value).filter(|_| state.expires >= self.clock.now()));
            self.note(if taken.is_some() { "state taken" } else { "state expired" });
        } else {
            assert_eq!(taken, None);
        }
    }
}
