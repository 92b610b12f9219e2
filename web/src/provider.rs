//! Providers of OpenID Connect: the authorization code flow with PKCE, and who it says somebody is.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::{Duration, Instant};

use authkv::models::{Token, UserId};
use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreProviderMetadata};
use openidconnect::{
    AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, TokenResponse,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

const ANSWER_BYTES_MAX: u64 = 1 << 20;
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// For so long a provider is taken to have the endpoints and keys that it said it has.
const KNOWN_FOR: Duration = Duration::from_secs(300);
const SUBJECT_BYTES_MAX: usize = 255;

/// Why a provider could not say who somebody is: for the operator, without a secret.
pub(crate) type Problem = Box<dyn StdError + Send + Sync>;

type Client =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

/// What an operator says about a provider.
#[derive(Clone, Debug)]
pub(crate) struct Registration {
    /// What the pages call it.
    pub(crate) name: String,
    /// What it is called in addresses.
    pub(crate) slug: String,
    pub(crate) issuer: IssuerUrl,
    pub(crate) client_id: ClientId,
    pub(crate) client_secret: Option<ClientSecret>,
}

pub(crate) struct Provider {
    pub(crate) registration: Registration,
    pub(crate) redirect: RedirectUrl,
    http: ureq::Agent,
    known: Mutex<Option<(Instant, CoreProviderMetadata)>>,
}

/// What is remembered of a visitor who is at a provider.
#[derive(Serialize, Deserialize)]
pub(crate) struct Away {
    code_verifier: PkceCodeVerifier,
    nonce: Nonce,
    /// Whose account it shall be; none for a visitor who wants to sign in.
    pub(crate) link_to: Option<UserId>,
}

impl Away {
    pub(crate) fn new(link_to: Option<UserId>) -> Self {
        let (_, code_verifier) = PkceCodeChallenge::new_random_sha256();
        Self { code_verifier, nonce: Nonce::new_random(), link_to }
    }
}

/// Who somebody is, as a provider has proven.
pub(crate) struct Identity {
    pub(crate) issuer: String,
    pub(crate) subject: String,
    /// Only if the provider has verified it: anybody can claim an address.
    pub(crate) email: Option<String>,
    pub(crate) name: Option<String>,
}

impl Provider {
    /// Visitors will find this application at `url`. The provider is asked for nothing yet: one that is down must not keep
    /// anybody from signing in otherwise.
    pub(crate) fn new(registration: Registration, url: &str) -> Result<Self, Problem> {
        let redirect = RedirectUrl::new(format!("{url}/back/{}", registration.slug))?;
        let http = ureq::Agent::config_builder()
            .http_status_as_error(false)
            // A redirect could lead into the network behind this program.
            .max_redirects(0)
            .timeout_global(Some(ANSWER_WITHIN))
            .build()
            .into();
        Ok(Self { registration, redirect, http, known: Mutex::default() })
    }

    /// Where to send a visitor who shall come back with this state.
    pub(crate) async fn authorize_url(self: Arc<Self>, away: &Away, state: &Token) -> Result<String, Problem> {
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&away.code_verifier);
        let (nonce, state) = (away.nonce.clone(), CsrfToken::new(state.reveal().to_owned()));
        let client = spawn_blocking(move || self.client()).await??;
        let (url, ..) = client
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, || state, || nonce)
            .add_scopes(["email", "profile"].map(|scope| Scope::new(scope.to_owned())))
            .set_pkce_challenge(challenge)
            .url();
        Ok(url.into())
    }

    /// Who has come back with this code.
    pub(crate) async fn identify(self: Arc<Self>, code: String, away: Away) -> Result<Identity, Problem> {
        spawn_blocking(move || self.identity(code, away)).await?
    }

    fn identity(&self, code: String, away: Away) -> Result<Identity, Problem> {
        let client = self.client()?;
        let tokens = client
            .exchange_code(AuthorizationCode::new(code))?
            .set_pkce_verifier(away.code_verifier)
            .request(&|request| self.ask(request))?;
        let id_token = tokens.id_token().ok_or("it has sent no ID token")?;
        // Verifies the signature, the issuer, the audience, the age and the nonce.
        let claims = id_token.claims(&client.id_token_verifier(), &away.nonce)?;
        let subject = claims.subject().as_str().to_owned();
        if subject.is_empty() || subject.len() > SUBJECT_BYTES_MAX {
            return Err("it has sent a subject that is empty or too long".into());
        }
        let email = claims.email().filter(|email| !email.is_empty() && claims.email_verified() == Some(true));
        Ok(Identity {
            issuer: self.registration.issuer.as_str().to_owned(),
            subject,
            email: email.map(|email| email.as_str().to_owned()),
            name: claims.name().and_then(|name| name.get(None)).map(|name| name.as_str().to_owned()),
        })
    }

    fn client(&self) -> Result<Client, Problem> {
        let Registration { client_id, client_secret, .. } = self.registration.clone();
        let client = CoreClient::from_provider_metadata(self.metadata()?, client_id, client_secret);
        Ok(client.set_redirect_uri(self.redirect.clone()))
    }

    fn metadata(&self) -> Result<CoreProviderMetadata, Problem> {
        if let Some((since, metadata)) = &*self.known.lock()
            && since.elapsed() < KNOWN_FOR
        {
            return Ok(metadata.clone());
        }
        let metadata = CoreProviderMetadata::discover(&self.registration.issuer, &|request| self.ask(request))?;
        *self.known.lock() = Some((Instant::now(), metadata.clone()));
        Ok(metadata)
    }

    fn ask(&self, request: HttpRequest) -> Result<HttpResponse, ureq::Error> {
        let (parts, mut body) = self.http.run(request)?.into_parts();
        let body = body.with_config().limit(ANSWER_BYTES_MAX).read_to_vec()?;
        Ok(HttpResponse::from_parts(parts, body))
    }
}
