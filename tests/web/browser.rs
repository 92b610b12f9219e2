//! A browser: it sends requests to an application and keeps its cookies.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_TYPE, COOKIE, SET_COOKIE};
use axum::http::{Method, Request, StatusCode};
use tower::ServiceExt;

#[derive(Clone)]
pub(crate) struct Browser {
    app: Router,
    /// The session's cookie, without its name.
    pub(crate) cookie: Option<String>,
}

/// The name of the cookie, as tower-sessions has it.
const NAME: &str = "id=";

#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
    /// Whether the answer set or removed the cookie.
    pub(crate) changed_cookie: bool,
}

impl Answer {
    /// The text of an answer that must be a success.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert!(self.status.is_success() || self.status.is_redirection(), "{self:?}");
        self.text
    }
}

impl Browser {
    pub(crate) fn new(app: &Router) -> Self {
        Self { app: app.clone(), cookie: None }
    }

    /// The same browser with its cookies, after the application was started again.
    pub(crate) fn on(&self, app: &Router) -> Self {
        Self { app: app.clone(), ..self.clone() }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send(Method::GET, path, &[]).await
    }

    pub(crate) async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.send(Method::POST, path, form).await
    }

    async fn send(&mut self, method: Method, path: &str, form: &[(&str, &str)]) -> Answer {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let mut request = Request::builder().method(method).uri(path);
        request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(cookie) = &self.cookie {
            request = request.header(COOKIE, format!("{NAME}{cookie}"));
        }
        let response = self.app.clone().oneshot(request.body(Body::from(form)).unwrap()).await.unwrap();
        let status = response.status();
        let set = response.headers().get_all(SET_COOKIE).iter().map(|header| header.to_str().unwrap().to_owned());
        let set: Vec<_> = set.collect();
        for header in &set {
            let value = header.strip_prefix(NAME).unwrap().split(';').next().unwrap();
            let is_removed = value.is_empty() || header.contains("Max-Age=0");
            self.cookie = (!is_removed).then(|| value.to_owned());
        }
        let text = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        Answer { status, text: String::from_utf8(text.to_vec()).unwrap(), changed_cookie: !set.is_empty() }
    }
}
