//! A provider of OpenID Connect that a test can make say, and do wrong, whatever it likes.

use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use openidconnect::core::{CoreEdDsaPrivateSigningKey, CoreJwsSigningAlgorithm};
use openidconnect::{JsonWebKeyId, PrivateSigningKey};
use parking_lot::Mutex;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const CLIENT: &str = "the-sign-in-example";
pub(crate) const SECRET: &str = "a secret of 100%";
pub(crate) const SECRET_VARIABLE: &str = "STUB_SECRET";

/// A provider that runs until the test ends.
pub(crate) struct Stub {
    pub(crate) url: String,
    name: &'static str,
    provider: Arc<Provider>,
}

struct Provider {
    url: String,
    key: CoreEdDsaPrivateSigningKey,
    /// It has the same id, and only the true one is published.
    foreign_key: CoreEdDsaPrivateSigningKey,
    now: Mutex<Now>,
    /// What was asked for with each code that was given out.
    codes: Mutex<HashMap<String, HashMap<String, String>>>,
}

/// Who signs in now, and what is wrong with it.
#[derive(Clone)]
struct Now {
    person: Person,
    wrong: Option<Wrong>,
}

#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) subject: &'static str,
    pub(crate) name: Option<&'static str>,
    pub(crate) email: Option<&'static str>,
    pub(crate) email_verified: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Wrong {
    Nonce,
    NoNonce,
    Audience,
    Issuer,
    Key,
    Unsigned,
    Expired,
    NoIdToken,
    TokenEndpoint,
    /// Its configuration is found only by whoever follows a redirect.
    Moved,
    /// No wrong that matters: truth and instants are texts.
    Texts,
}

impl Stub {
    pub(crate) fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let person = Person { subject: "1", name: None, email: None, email_verified: None };
        let provider = Arc::new(Provider {
            url: url.clone(),
            key: key(1),
            foreign_key: key(2),
            now: Mutex::new(Now { person, wrong: None }),
            codes: Mutex::default(),
        });
        let app = Router::new()
            .route("/.well-known/openid-configuration", get(configuration))
            .route("/moved", get(moved_configuration))
            .route("/keys", get(keys))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .with_state(Arc::clone(&provider));
        listener.set_nonblocking(true).unwrap();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, app).await.unwrap();
            });
        });
        Self { url, name, provider }
    }

    /// What the example must be started with to know this provider.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let named = ["--provider-name", self.name, "--client-secret-env", SECRET_VARIABLE, "--client-id", CLIENT];
        [["--issuer", &self.url].as_slice(), &named].concat().into_iter().map(str::to_owned).collect()
    }

    pub(crate) fn knows(&self, person: Person) {
        *self.provider.now.lock() = Now { person, wrong: None };
    }

    pub(crate) fn does_wrong(&self, wrong: Wrong) {
        self.provider.now.lock().wrong = Some(wrong);
    }

    /// Where the visitor is sent back to who was sent to this address and agrees.
    pub(crate) fn agree(&self, authorize_url: &str) -> String {
        let query =
            authorize_url.strip_prefix(&format!("{}/authorize?", self.url)).expect("an address of this provider");
        let query = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        self.provider.agreed(query).expect("a proper request")
    }
}

impl Person {
    pub(crate) fn with_email(subject: &'static str, email: &'static str) -> Self {
        Self { subject, name: None, email: Some(email), email_verified: Some(true) }
    }
}

impl Provider {
    /// Checks a request as a real provider does, and answers the address to go back to.
    fn agreed(&self, query: HashMap<String, String>) -> Result<String, String> {
        let expected = [("client_id", CLIENT), ("response_type", "code"), ("code_challenge_method", "S256")];
        for (name, value) in expected {
            if query.get(name).map(String::as_str) != Some(value) {
                return Err(format!("{name} is not {value} in {query:?}"));
            }
        }
        for name in ["state", "nonce", "code_challenge", "redirect_uri"] {
            if query.get(name).is_none_or(String::is_empty) {
                return Err(format!("no {name} in {query:?}"));
            }
        }
        if !query["scope"].split(' ').any(|scope| scope == "openid") {
            return Err(format!("no scope openid in {query:?}"));
        }
        let mut codes = self.codes.lock();
        let code = format!("code-{}", codes.len());
        let back = form_urlencoded::Serializer::new(format!("{}?", query["redirect_uri"]))
            .append_pair("code", &code)
            .append_pair("state", &query["state"])
            .finish();
        codes.insert(code, query);
        Ok(back)
    }

    fn id_token(&self, nonce: &str) -> Option<String> {
        let Now { person, wrong } = self.now.lock().clone();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let expires = if wrong == Some(Wrong::Expired) { now - 60 } else { now + 60 };
        let mut claims = json!({
            "iss": if wrong == Some(Wrong::Issuer) { "http://127.0.0.1:1" } else { &self.url },
            "aud": if wrong == Some(Wrong::Audience) { "another-client" } else { CLIENT },
            "nonce": if wrong == Some(Wrong::Nonce) { "another-nonce" } else { nonce },
            "sub": person.subject, "iat": now - 120, "exp": expires,
            "name": person.name, "email": person.email, "email_verified": person.email_verified,
        });
        let claims = claims.as_object_mut().unwrap();
        if wrong == Some(Wrong::NoNonce) {
            claims.remove("nonce");
        }
        if wrong == Some(Wrong::Texts) {
            claims.insert("email_verified".into(), "true".into());
            claims.insert("updated_at".into(), "2026-11-25T10:00:00Z".into());
        }
        claims.retain(|_, value| !value.is_null());
        let algorithm = if wrong == Some(Wrong::Unsigned) { "none" } else { "EdDSA" };
        let header = json!({ "alg": algorithm, "kid": "k1", "typ": "JWT" });
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let signed =
            format!("{}.{}", encode(header.to_string().as_bytes()), encode(json!(claims).to_string().as_bytes()));
        let key = if wrong == Some(Wrong::Key) { &self.foreign_key } else { &self.key };
        let signature = match wrong {
            Some(Wrong::NoIdToken) => return None,
            Some(Wrong::Unsigned) => Vec::new(),
            _ => key.sign(&CoreJwsSigningAlgorithm::EdDsa, signed.as_bytes()).unwrap(),
        };
        Some(format!("{signed}.{}", encode(&signature)))
    }
}

type Shared = State<Arc<Provider>>;

async fn configuration(state: Shared) -> Response {
    if state.now.lock().wrong == Some(Wrong::Moved) {
        return Redirect::to("/moved").into_response();
    }
    moved_configuration(state).await.into_response()
}

async fn moved_configuration(State(provider): Shared) -> Json<Value> {
    let url = &provider.url;
    Json(json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "jwks_uri": format!("{url}/keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
    }))
}

async fn keys(State(provider): Shared) -> Json<Value> {
    Json(json!({ "keys": [provider.key.as_verification_key()] }))
}

/// The page on which a person decides.
async fn authorize(State(provider): Shared, Query(query): Query<HashMap<String, String>>) -> Response {
    let cancel = format!("{}?error=access_denied&state={}", query["redirect_uri"], query["state"]);
    match provider.agreed(query) {
        Ok(back) => {
            let escape = |url: &str| url.replace('&', "&amp;");
            let (back, cancel) = (escape(&back), escape(&cancel));
            Html(format!(r#"<p>Sign in?</p><a id="agree" href="{back}">Yes</a> <a id="cancel" href="{cancel}">No</a>"#))
                .into_response()
        }
        Err(problem) => (StatusCode::BAD_REQUEST, problem).into_response(),
    }
}

/// Each code works once, for the client that it was meant for and who has the verifier.
async fn token(State(provider): Shared, headers: HeaderMap, Form(form): Form<HashMap<String, String>>) -> Response {
    if provider.now.lock().wrong == Some(Wrong::TokenEndpoint) {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let secret = form_urlencoded::byte_serialize(SECRET.as_bytes()).collect::<String>();
    let client = format!("Basic {}", BASE64_STANDARD.encode(format!("{CLIENT}:{secret}")));
    let asked = provider.codes.lock().remove(&form["code"]);
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"]));
    match asked {
        Some(asked)
            if headers.get("authorization").is_some_and(|value| *value == *client)
                && form["grant_type"] == "authorization_code"
                && form["redirect_uri"] == asked["redirect_uri"]
                && challenge == asked["code_challenge"] =>
        {
            let id_token = provider.id_token(&asked["nonce"]);
            let mut answer = json!({ "access_token": "an-access-token", "token_type": "Bearer" });
            if let Some(id_token) = id_token {
                answer["id_token"] = id_token.into();
            }
            Json(answer).into_response()
        }
        _ => (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" }))).into_response(),
    }
}

/// An Ed25519 key, as PKCS #8 has it.
fn key(seed: u8) -> CoreEdDsaPrivateSigningKey {
    let mut der = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    der.extend([seed; 32]);
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", BASE64_STANDARD.encode(der));
    CoreEdDsaPrivateSigningKey::from_ed25519_pem(&pem, Some(JsonWebKeyId::new("k1".into()))).unwrap()
}
