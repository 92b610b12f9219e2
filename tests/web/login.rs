//! Sign-in with axum-login over a store.

use std::sync::Arc;

use authkv::axum_login::{Backend, CheckCredentials};
use authkv::models::{Change, NewUser, User, UserId, UserPatch, WebSessionId};
use authkv::redb::Database;
use authkv::{AuthKv, Error, WebSessions};
use axum::Router;
use axum::extract::{Form, Query};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum_login::tower_sessions::{Expiry, SessionManagerLayer, SessionStore};
use axum_login::{AuthManagerLayerBuilder, AuthUser, AuthnBackend, login_required};
use chrono::TimeDelta;
use serde::Deserialize;
use tokio::sync::Notify;
use tower_sessions_014::MemoryStore;

use crate::browser::Browser;
use crate::store::{Later, Place, damage};

/// Everybody's password is their name; whoever is slow is waited for.
#[derive(Clone, Default)]
struct Names {
    slow: Arc<(Notify, Notify)>,
}

#[derive(Clone, Deserialize)]
struct Credentials {
    name: String,
    password: String,
    #[serde(default)]
    slow: bool,
}

impl CheckCredentials for Names {
    type Credentials = Credentials;
    type Error = Error;

    async fn find(&self, auth: &AuthKv, credentials: &Credentials) -> Result<Option<UserId>, Error> {
        Ok(auth.get_user_by_email(&credentials.name).await?.map(|user| user.id))
    }

    /// Says yes to nobody's right password too.
    async fn verify(&self, _: &AuthKv, user: Option<&User>, credentials: Credentials) -> Result<bool, Error> {
        assert!(user.is_none_or(|user| user.email.as_ref() == Some(&credentials.name)));
        if credentials.slow {
            self.slow.0.notify_one();
            self.slow.1.notified().await;
        }
        Ok(credentials.password == credentials.name)
    }
}

type Users = Backend<Names>;
type AuthSession = axum_login::AuthSession<Users>;

struct Site {
    app: Router,
    auth: AuthKv,
    names: Names,
}

impl Site {
    fn new(auth: AuthKv) -> Self {
        let sessions = WebSessions::new(auth.clone());
        Self::with_sessions(auth, sessions)
    }

    /// With the sessions in this store, which may be another one.
    fn with_sessions(auth: AuthKv, sessions: impl SessionStore + Clone) -> Self {
        let layer = SessionManagerLayer::new(sessions).with_expiry(Expiry::OnInactivity(time::Duration::hours(1)));
        let names = Names::default();
        let backend = Backend::new(auth.clone(), names.clone());
        let app = Router::new()
            .route("/me", get(me))
            .route_layer(login_required!(Users))
            .route("/visit", post(visit))
            .route("/sign-in", post(sign_in))
            .route("/sign-out", post(sign_out))
            .route("/sign-out-everywhere", post(sign_out_everywhere))
            .route("/sign-out-elsewhere", post(sign_out_elsewhere))
            .route("/devices", get(devices))
            .route("/sign-out-device", post(sign_out_device))
            .layer(AuthManagerLayerBuilder::new(backend, layer).build());
        Self { app, auth, names }
    }

    fn browser(&self) -> Browser {
        Browser::new(&self.app)
    }

    fn user(&self, name: &str) -> UserId {
        let user = NewUser { id: Some(format!("id of {name}").into()), ..NewUser::email(name) };
        self.auth.create_user(user).wait().unwrap().id
    }

    /// A browser that has signed in.
    async fn signed_in(&self, name: &str) -> Browser {
        let mut browser = self.browser();
        assert_eq!(enter(&mut browser, name, name).await, StatusCode::OK);
        assert_eq!(who(&mut browser).await.as_deref(), Some(name));
        browser
    }

    fn web_sessions(&self) -> u64 {
        let report = self.auth.check().wait().unwrap();
        assert!(report.is_sound(), "{:?}", report.problems);
        report.web_sessions
    }
}

async fn enter(browser: &mut Browser, name: &str, password: &str) -> StatusCode {
    browser.post("/sign-in", &[("name", name), ("password", password)]).await.status
}

/// Who is signed in.
async fn who(browser: &mut Browser) -> Option<String> {
    let answer = browser.get("/me").await;
    match answer.status {
        StatusCode::UNAUTHORIZED => None,
        _ => Some(answer.ok()),
    }
}

async fn me(here: AuthSession) -> String {
    here.user.and_then(|user| user.email.clone()).unwrap()
}

async fn visit(here: AuthSession) {
    here.session.insert("cart", "full").await.unwrap();
}

async fn sign_in(mut here: AuthSession, Form(credentials): Form<Credentials>) -> Result<(), StatusCode> {
    let failed = |_| StatusCode::BAD_GATEWAY;
    let user = here.authenticate(credentials).await.map_err(failed)?.ok_or(StatusCode::UNAUTHORIZED)?;
    here.login(&user).await.map_err(failed)
}

async fn sign_out(mut here: AuthSession) {
    here.logout().await.unwrap();
}

async fn sign_out_everywhere(here: AuthSession) -> String {
    let id = here.user.unwrap().id();
    here.backend.auth().end_all_sessions(&id).await.unwrap().to_string()
}

async fn sign_out_elsewhere(mut here: AuthSession) {
    Backend::sign_out_elsewhere(&mut here).await.unwrap();
}

/// The ids of the user's sessions, that of the browser at hand with a star.
async fn devices(here: AuthSession) -> String {
    let this = WebSessionId::from(here.session.id().unwrap());
    let sessions = WebSessions::new(here.backend.auth().clone());
    let sessions = sessions.list_sessions(here.user.unwrap().id(), None, 1_000).await.unwrap().items;
    let line = |id: WebSessionId| if id == this { format!("*{id}") } else { id.to_string() };
    sessions.into_iter().map(|session| line(session.id)).collect::<Vec<_>>().join(" ")
}

#[derive(Deserialize)]
struct Device {
    id: String,
}

async fn sign_out_device(here: AuthSession, Query(Device { id }): Query<Device>) {
    let sessions = WebSessions::new(here.backend.auth().clone());
    sessions.end_session(here.user.unwrap().id(), id).await.unwrap().unwrap();
}

fn in_memory() -> Site {
    Site::new(AuthKv::in_memory().unwrap())
}

#[tokio::test]
async fn only_who_proves_it_is_signed_in() {
    let site = in_memory();
    site.user("ada");
    let mut browser = site.browser();
    assert_eq!(who(&mut browser).await, None);
    // Of somebody who does not exist, even credentials that are right prove nothing.
    for (name, password) in [("ada", "bob"), ("bob", "bob"), ("", "")] {
        assert_eq!(enter(&mut browser, name, password).await, StatusCode::UNAUTHORIZED);
        assert_eq!(who(&mut browser).await, None);
    }
    assert_eq!(enter(&mut browser, "ada", "ada").await, StatusCode::OK);
    assert_eq!(who(&mut browser).await.as_deref(), Some("ada"));
    assert_eq!(site.web_sessions(), 1);
}

#[tokio::test]
async fn signing_in_gives_a_new_id_and_keeps_what_the_visitor_had() {
    let site = in_memory();
    let ada = site.user("ada");
    let mut browser = site.browser();
    browser.post("/visit", &[]).await.ok();
    let mut before = browser.clone();
    assert_eq!(enter(&mut browser, "ada", "ada").await, StatusCode::OK);
    assert_ne!(browser.cookie, before.cookie);
    assert_eq!(who(&mut before).await, None);
    let sessions = WebSessions::new(site.auth.clone()).list_sessions(&ada, None, 1_000).wait().unwrap().items;
    assert_eq!((sessions.len(), &sessions[0].data["cart"]), (1, &"full".into()));
}

#[tokio::test]
async fn signing_out_ends_the_session_of_this_browser() {
    let site = in_memory();
    site.user("ada");
    let (mut here, mut elsewhere) = (site.signed_in("ada").await, site.signed_in("ada").await);
    let mut copy = here.clone();
    here.post("/sign-out", &[]).await.ok();
    assert_eq!((here.cookie.clone(), who(&mut here).await, who(&mut copy).await), (None, None, None));
    assert_eq!(who(&mut elsewhere).await.as_deref(), Some("ada"));
}

#[tokio::test]
async fn signing_out_everywhere_signs_out_the_other_browser_and_nobody_else() {
    let site = in_memory();
    site.user("ada");
    site.user("bob");
    let (mut here, mut elsewhere) = (site.signed_in("ada").await, site.signed_in("ada").await);
    let mut bob = site.signed_in("bob").await;
    assert_eq!(here.post("/sign-out-everywhere", &[]).await.ok(), "2");
    assert_eq!((who(&mut here).await, who(&mut elsewhere).await), (None, None));
    assert_eq!((&here.cookie, &elsewhere.cookie), (&None, &None));
    assert_eq!(who(&mut bob).await.as_deref(), Some("bob"));
    assert_eq!(enter(&mut here, "ada", "ada").await, StatusCode::OK);
    assert_eq!(who(&mut here).await.as_deref(), Some("ada"));
}

#[tokio::test]
async fn signing_out_elsewhere_leaves_the_browser_at_hand() {
    let site = in_memory();
    site.user("ada");
    let (mut here, mut elsewhere) = (site.signed_in("ada").await, site.signed_in("ada").await);
    here.post("/visit", &[]).await.ok();
    let mut copy = here.clone();
    here.post("/sign-out-elsewhere", &[]).await.ok();
    assert_eq!(who(&mut here).await.as_deref(), Some("ada"));
    assert_eq!((who(&mut elsewhere).await, who(&mut copy).await), (None, None));
    assert_eq!(site.web_sessions(), 1);
    let mut nobody = site.browser();
    nobody.post("/sign-out-elsewhere", &[]).await.ok();
    assert_eq!(site.web_sessions(), 1);
}

#[tokio::test]
async fn people_see_where_they_are_signed_in_and_sign_out_there() {
    let site = in_memory();
    site.user("ada");
    let (mut here, mut elsewhere) = (site.signed_in("ada").await, site.signed_in("ada").await);
    let devices = here.get("/devices").await.ok();
    let (this, other): (Vec<_>, Vec<_>) = devices.split(' ').partition(|id| id.starts_with('*'));
    let ([this], [other]) = (&*this, &*other) else { panic!("{devices}") };
    assert!(!devices.contains(&here.cookie.clone().unwrap()));
    here.post(&format!("/sign-out-device?id={other}"), &[]).await.ok();
    assert_eq!(who(&mut elsewhere).await, None);
    assert_eq!(here.get("/devices").await.ok(), *this);
}

#[tokio::test]
async fn a_user_who_is_deleted_is_signed_out() {
    let site = in_memory();
    let ada = site.user("ada");
    let mut browser = site.signed_in("ada").await;
    site.auth.delete_user(&ada).wait().unwrap().unwrap();
    assert_eq!((who(&mut browser).await, browser.cookie.clone()), (None, None));
    assert_eq!(site.web_sessions(), 0);
    site.user("ada");
    assert_eq!(who(&mut browser).await, None);
}

#[tokio::test]
async fn a_session_ends_by_itself() {
    let later = Later::default();
    let site = Site::new(later.options().in_memory().unwrap());
    site.user("ada");
    let mut browser = site.signed_in("ada").await;
    later.by(TimeDelta::minutes(59));
    assert_eq!(who(&mut browser).await.as_deref(), Some("ada"));
    later.by(TimeDelta::minutes(61));
    assert_eq!((who(&mut browser).await, browser.cookie.clone()), (None, None));
}

#[tokio::test]
async fn people_stay_signed_in_when_the_application_is_started_again() {
    let place = Place::new();
    let site = Site::new(AuthKv::open(&place.path).unwrap());
    site.user("ada");
    let mut browser = site.signed_in("ada").await;
    site.auth.close().wait().unwrap();
    let site = Site::new(AuthKv::open(&place.path).unwrap());
    browser = browser.on(&site.app);
    assert_eq!(who(&mut browser).await.as_deref(), Some("ada"));
}

#[tokio::test]
async fn a_failing_store_is_a_failure_and_signs_nobody_out() {
    let place = Place::new();
    let database = Arc::new(Database::create(&place.path).unwrap());
    let site = Site::new(AuthKv::options().on_database(Arc::clone(&database)).unwrap());
    site.user("ada");
    let mut browser = site.signed_in("ada").await;
    let cookie = browser.cookie.clone();
    for table in ["authkv_web_sessions", "authkv_users"] {
        damage(&database, table);
        let answer = browser.get("/me").await;
        assert_eq!((answer.status, answer.changed_cookie), (StatusCode::INTERNAL_SERVER_ERROR, false), "{table}");
        damage(&database, table);
        assert_eq!(who(&mut browser).await.as_deref(), Some("ada"));
    }
    damage(&database, "authkv_users");
    assert_eq!(enter(&mut site.browser(), "ada", "ada").await, StatusCode::BAD_GATEWAY);
    assert_eq!(browser.cookie, cookie);
}

#[tokio::test]
async fn the_stamp_ends_sessions_that_are_stored_elsewhere() {
    let auth = AuthKv::in_memory().unwrap();
    let site = Site::with_sessions(auth, MemoryStore::default());
    let ada = site.user("ada");
    let sign_out = || {
        site.auth.end_all_sessions(&ada).wait().unwrap();
    };
    let make_anew = || {
        site.auth.delete_user(&ada).wait().unwrap().unwrap();
        // Another user with the id has another instant of creation.
        std::thread::sleep(std::time::Duration::from_millis(2));
        site.user("ada");
    };
    for end in [&make_anew as &dyn Fn(), &sign_out] {
        let mut browser = site.signed_in("ada").await;
        end();
        assert_eq!((who(&mut browser).await, browser.cookie.clone()), (None, None));
    }
    let (mut here, mut elsewhere) = (site.signed_in("ada").await, site.signed_in("ada").await);
    here.post("/sign-out-elsewhere", &[]).await.ok();
    assert_eq!((who(&mut here).await.as_deref(), who(&mut elsewhere).await), (Some("ada"), None));
}

#[tokio::test]
async fn what_is_logged_of_a_user_hides_the_address() {
    let site = in_memory();
    let ada = site.user("hushhush@example.com");
    let backend = Backend::new(site.auth.clone(), site.names.clone());
    let user = backend.get_user(&ada).await.unwrap().unwrap();
    assert_eq!(user.email.as_deref(), Some("hushhush@example.com"));
    let logged = format!("{user:?} {backend:?}").replace(ada.as_str(), "");
    assert!(logged.contains("StampedUser") && !logged.contains("hushhush"), "{logged}");
}

#[tokio::test]
async fn changing_a_user_leaves_the_stamp_as_it_was() {
    let site = in_memory();
    let ada = site.user("ada");
    let stamp = async || {
        let backend = Backend::new(site.auth.clone(), Names::default());
        let user = backend.get_user(&ada).await.unwrap().unwrap();
        user.session_auth_hash().to_vec()
    };
    let before = stamp().await;
    let patch = UserPatch { name: Change::to("Ada"), ..UserPatch::new(ada.clone()) };
    site.auth.update_user(patch).wait().unwrap();
    let kept = site.auth.start_session(&ada).wait().unwrap();
    site.auth.end_other_sessions(&ada, &kept.id).wait().unwrap();
    assert_eq!(stamp().await, before);
    site.auth.end_all_sessions(&ada).wait().unwrap();
    assert_ne!(stamp().await, before);
}

/// Somebody with the old password is under way while its owner signs out everywhere.
#[tokio::test]
async fn whoever_is_signing_in_while_all_are_signed_out_is_signed_out_too() {
    let site = in_memory();
    let ada = site.user("ada");
    let signing_in = tokio::spawn({
        let mut browser = site.browser();
        async move {
            let form = [("name", "ada"), ("password", "ada"), ("slow", "true")];
            (browser.post("/sign-in", &form).await.status, browser)
        }
    });
    site.names.slow.0.notified().await;
    site.auth.end_all_sessions(&ada).wait().unwrap();
    site.names.slow.1.notify_one();
    let (status, mut browser) = signing_in.await.unwrap();
    assert_eq!(status, StatusCode::OK);
    assert_eq!((who(&mut browser).await, browser.cookie.clone()), (None, None));
    assert_eq!(site.web_sessions(), 0);
}

/// Users who are in another database, with ids of its own. Everybody who gives a name is signed in.
mod elsewhere {
    use std::convert::Infallible;

    use axum_login::{AuthUser, AuthnBackend};

    #[derive(Clone, Debug)]
    pub(super) struct Person(String);

    impl AuthUser for Person {
        type Id = String;

        fn id(&self) -> String {
            self.0.clone()
        }

        fn session_auth_hash(&self) -> &[u8] {
            b"of the password"
        }
    }

    #[derive(Clone)]
    pub(super) struct People;

    impl AuthnBackend for People {
        type User = Person;
        type Credentials = String;
        type Error = Infallible;

        async fn authenticate(&self, name: String) -> Result<Option<Person>, Infallible> {
            Ok(Some(Person(name)))
        }

        async fn get_user(&self, id: &String) -> Result<Option<Person>, Infallible> {
            Ok(Some(Person(id.clone())))
        }
    }
}

#[tokio::test]
async fn users_who_are_in_another_database_are_signed_in_and_counted() {
    type Auth = axum_login::AuthSession<elsewhere::People>;
    #[derive(Deserialize)]
    struct Name {
        name: String,
    }
    let sign_in = async |mut auth: Auth, Query(Name { name }): Query<Name>| {
        let person = auth.authenticate(name).await.unwrap().unwrap();
        auth.login(&person).await.unwrap();
    };
    let me = async |auth: Auth| auth.user.map_or("nobody".to_owned(), |person| person.id());
    let auth = AuthKv::in_memory().unwrap();
    for (sessions, strangers) in
        [(WebSessions::new(auth.clone()), 2), (WebSessions::new(auth.clone()).user_id_from(|_| None), 2)]
    {
        let layer = AuthManagerLayerBuilder::new(elsewhere::People, SessionManagerLayer::new(sessions)).build();
        let app = Router::new().route("/me", get(me)).route("/sign-in", post(sign_in)).layer(layer);
        for name in ["3f0c8e1a-0000-4000-8000-00000000000a", "7"] {
            let mut browser = Browser::new(&app);
            browser.post(&format!("/sign-in?name={name}"), &[]).await.ok();
            assert_eq!(browser.get("/me").await.ok(), name);
            assert!(browser.cookie.is_some());
        }
        assert_eq!(auth.stats().sessions_of_strangers, strangers);
    }
    assert!(auth.check().wait().unwrap().is_sound());
}
