//! The browser of a test: it keeps cookies, fills in forms and reads the pages.

use std::collections::BTreeMap;

use crate::server::{DEADLINE, Server};
#[cfg(feature = "providers")]
use crate::stub::Stub;

/// A visitor's browser: it keeps cookies, follows no redirect, and knows the secret of the last form it was shown.
pub(crate) struct Browser {
    agent: ureq::Agent,
    url: String,
    pub(crate) host: Option<String>,
    pub(crate) user_agent: &'static str,
    pub(crate) cookies: BTreeMap<String, String>,
    pub(crate) csrf: String,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Browser {
    pub(crate) fn at(server: &Server) -> Self {
        let config = ureq::Agent::config_builder()
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_global(Some(DEADLINE))
            .build();
        let (agent, url) = (config.into(), server.url.clone());
        Self { agent, url, host: None, user_agent: "", cookies: BTreeMap::new(), csrf: String::new() }
    }

    /// The same host at another port; cookies know no ports.
    pub(crate) fn moves_to(&mut self, server: &Server) {
        self.url = server.url.clone();
    }

    pub(crate) fn session(&self) -> Option<&str> {
        self.cookies.iter().find(|(name, _)| name.ends_with("authkv-session")).map(|(_, value)| value.as_str())
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, None)
    }

    /// Submits a form of the last page that had one.
    pub(crate) fn post(&mut self, path: &str, fields: &[(impl AsRef<str>, impl AsRef<str>)]) -> Answer {
        let mut form = vec![("csrf", self.csrf.as_str())];
        form.extend(fields.iter().map(|(name, value)| (name.as_ref(), value.as_ref())));
        let form = encode(&form);
        self.send("POST", path, Some(&form))
    }

    pub(crate) fn send(&mut self, method: &str, path: &str, form: Option<&str>) -> Answer {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        request = request.header("cookie", cookies.join("; ")).header("user-agent", self.user_agent);
        if let Some(host) = &self.host {
            request = request.header("host", host);
        }
        if form.is_some() {
            request = request.header("content-type", "application/x-www-form-urlencoded");
        }
        let mut response = self.agent.run(request.body(form.unwrap_or_default().to_owned()).unwrap()).unwrap();
        let headers = response.headers().iter();
        let answer = Answer {
            status: response.status().as_u16(),
            headers: headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect(),
            body: response.body_mut().read_to_string().unwrap(),
        };
        for cookie in answer.set_cookies() {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            if cookie.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        if answer.body.contains(CSRF) {
            self.csrf = between(&answer.body, CSRF, "\"").to_owned();
        }
        answer
    }

    /// Asks for a link and finds it in the mailbox: its path and query.
    pub(crate) fn ask_for_link(&mut self, email: &str) -> String {
        self.get("/");
        assert_eq!(self.post("/sign-in", &[("email", email)]).location(), "/mailbox");
        let mails = self.get("/mailbox").body;
        let mail = mails.split("<article>").find(|mail| mail.contains(&format!(">{email}<"))).expect("a mail");
        format!("/link{}", between(mail, "/link", "\"").replace("&amp;", "&"))
    }

    pub(crate) fn use_link(&mut self, link: &str) -> Answer {
        let page = self.get(link);
        let fields = ["email", "token"].map(|name| {
            let value = between(&page.body, &format!("name=\"{name}\" value=\""), "\"");
            (name, value.replace("&lt;", "<").replace("&amp;", "&"))
        });
        self.post("/link", &fields)
    }

    /// Signs in with a fresh link and returns the session token.
    pub(crate) fn sign_in(&mut self, email: &str) -> String {
        let link = self.ask_for_link(email);
        assert_eq!(self.use_link(&link).location(), "/");
        assert!(self.get("/").shows_account_of(email));
        self.session().expect("a session cookie").to_owned()
    }

    /// Submits a form that leads to a provider, and answers where to.
    pub(crate) fn leave(&mut self, form: &str) -> String {
        self.get("/");
        let answer = self.post(form, &NO_FIELDS);
        assert_eq!(answer.status, 200, "{}", answer.body);
        let refresh = answer.header("refresh").expect("a way on");
        let url = refresh.strip_prefix("0;url=").unwrap_or_else(|| panic!("{refresh}"));
        assert!(answer.body.contains(&format!("href=\"{}\"", url.replace('&', "&amp;"))), "{}", answer.body);
        url.to_owned()
    }

    /// Goes to a provider, agrees there, and comes back.
    #[cfg(feature = "providers")]
    pub(crate) fn go_through(&mut self, form: &str, provider: &Stub) -> Answer {
        let back = provider.agree(&self.leave(form));
        self.come_back(&back)
    }

    pub(crate) fn come_back(&mut self, url: &str) -> Answer {
        let path = url.strip_prefix(&self.url).unwrap_or_else(|| panic!("{url} is elsewhere")).to_owned();
        self.get(&path)
    }

    /// The sessions that the page of the account lists, but for this one: browser and id.
    pub(crate) fn other_sessions(&mut self) -> Vec<(String, String)> {
        let page = self.get("/").body;
        let listed = page.split("<li>").filter(|item| item.contains("name=\"session\""));
        let parts =
            |item| (between(item, "<strong>", "<").into(), between(item, "name=\"session\" value=\"", "\"").into());
        listed.map(parts).collect()
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn location(&self) -> &str {
        self.header("location").unwrap_or_else(|| panic!("no redirect but {}: {}", self.status, self.body))
    }

    pub(crate) fn set_cookies(&self) -> Vec<&str> {
        self.headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn set_cookie(&self, name: &str) -> &str {
        let found = self.set_cookies().into_iter().find(|cookie| cookie.starts_with(&format!("{name}=")));
        found.unwrap_or_else(|| panic!("no cookie {name} in {:?}", self.set_cookies()))
    }

    pub(crate) fn shows_account_of(&self, email: &str) -> bool {
        self.body.contains("action=\"/sign-out\"") && self.body.contains(&format!("<dd>{email}</dd>"))
    }

    /// Whether an account with the provider is listed that can be unlinked.
    pub(crate) fn lists_account(&self, provider: &str) -> bool {
        self.body.split("<li>").any(|item| item.contains(&format!("<strong>{provider}<")) && item.contains("/unlink"))
    }

    pub(crate) fn shows_sign_in(&self) -> bool {
        self.body.contains("action=\"/sign-in\"") && !self.body.contains("action=\"/sign-out\"")
    }
}

pub(crate) const NO_FIELDS: [(&str, &str); 0] = [];
const CSRF: &str = "name=\"csrf\" value=\"";

/// E-mail address and token of a link, as its form sends them.
pub(crate) fn fields_of(link: &str) -> [(&'static str, String); 2] {
    let query = link.split_once('?').unwrap().1;
    let value = |name: &str| {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs.find(|(key, _)| key == name).unwrap().1.into_owned()
    };
    [("email", value("email")), ("token", value("token"))]
}

pub(crate) fn encode(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

pub(crate) fn attributes(cookie: &str) -> Vec<&str> {
    cookie.split("; ").skip(1).collect()
}

pub(crate) fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = text.split_once(start).unwrap_or_else(|| panic!("no {start} in {text}"));
    rest.split(end).next().unwrap()
}
