//! Real browsers: a Chromium for each device, driven by `chromedriver`.

use std::fs;
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;
use tokio::time::{sleep, timeout};

use crate::browser::between;
use crate::server::DEADLINE;

pub(crate) const LAPTOP: Kind = Kind { name: "laptop", width: 1280, height: 1400, is_phone: false };
pub(crate) const PHONE: Kind = Kind { name: "phone", width: 390, height: 1300, is_phone: true };

/// The size of the window, for the phone in pixels as CSS counts them; high enough to have all of a page in a picture.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    name: &'static str,
    width: u32,
    height: u32,
    is_phone: bool,
}

/// The program that starts browsers, until the test ends.
pub(crate) struct Driver {
    process: Child,
    url: String,
}

impl Driver {
    pub(crate) fn start() -> Self {
        let started = Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).spawn();
        let mut process = match started {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                panic!("this test needs Chromium and chromedriver: apt-get install chromium chromium-driver")
            }
            started => started.unwrap(),
        };
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut said = String::new();
        while !said.contains("started successfully on port ") {
            assert_ne!(stdout.read_line(&mut said).unwrap(), 0, "chromedriver does not start: {said}");
        }
        thread::spawn(move || io::copy(&mut stdout, &mut io::sink()));
        let url = format!("http://127.0.0.1:{}", between(&said, "started successfully on port ", "."));
        Self { process, url }
    }

    /// A new browser, without cookies. It must be closed.
    pub(crate) async fn device(&self, kind: Kind, url: &str) -> Device {
        let Kind { width, height, .. } = kind;
        let window = format!("--window-size={width},{height}");
        // Chromium refuses to run in its sandbox as root, as whom containers often run.
        let mut options = json!({ "args": ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", window] });
        if kind.is_phone {
            let metrics = json!({ "width": width, "height": height, "pixelRatio": 2.0, "mobile": true, "touch": true });
            options["mobileEmulation"] =
                json!({ "deviceMetrics": metrics, "clientHints": { "platform": "Android", "mobile": true } });
        }
        let capabilities = [("goog:chromeOptions".to_owned(), options)].into_iter().collect();
        let mut client = ClientBuilder::new(HttpConnector::new());
        let client = client.capabilities(capabilities).connect(&self.url);
        let client = timeout(DEADLINE, client).await.expect("it takes too long").expect("Chromium does not start");
        Device { kind, url: url.to_owned(), client }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A browser, and what a person does with it.
pub(crate) struct Device {
    kind: Kind,
    url: String,
    pub(crate) client: Client,
}

impl Device {
    pub(crate) async fn open(&self) {
        self.client.goto(&self.url).await.unwrap();
    }

    pub(crate) async fn sign_in_with_link(&self, email: &str) {
        self.open().await;
        self.wait_for_heading("Sign in").await;
        self.look("sign-in").await;
        self.fill("email", email).await;
        self.press("Send me a link").await;
        self.wait_for_heading("Mailbox").await;
        self.look("mailbox").await;
        self.follow("article a").await;
        self.wait_for_heading("Almost there").await;
        self.look("link").await;
        self.press("Continue").await;
        self.wait_until_shown("//h1[starts-with(., 'Hello')]").await;
    }

    pub(crate) async fn fill(&self, name: &str, value: &str) {
        let field = self.client.find(Locator::Css(&format!("input[name={name}]:not([type=hidden])"))).await.unwrap();
        field.clear().await.unwrap();
        field.send_keys(value).await.unwrap();
    }

    pub(crate) async fn press(&self, button: &str) {
        self.wait_until_shown(&labelled(button)).await.click().await.unwrap();
    }

    pub(crate) async fn press_last(&self, button: &str) {
        let buttons = self.client.find_all(Locator::XPath(&labelled(button))).await.unwrap();
        buttons.last().expect(button).click().await.unwrap();
    }

    pub(crate) async fn follow(&self, link: &str) {
        self.client.wait().at_most(DEADLINE).for_element(Locator::Css(link)).await.unwrap().click().await.unwrap();
    }

    pub(crate) async fn buttons(&self, button: &str) -> usize {
        self.client.find_all(Locator::XPath(&labelled(button))).await.unwrap().len()
    }

    pub(crate) async fn text(&self, element: &str) -> String {
        self.client.find(Locator::Css(element)).await.unwrap().text().await.unwrap()
    }

    pub(crate) async fn wait_for_heading(&self, text: &str) {
        self.wait_until_shown(&format!("//h1[normalize-space()='{text}']")).await;
    }

    pub(crate) async fn wait_until_shown(&self, path: &str) -> Element {
        self.client.wait().at_most(DEADLINE).for_element(Locator::XPath(path)).await.expect(path)
    }

    pub(crate) async fn wait_until_gone(&self, button: &str) {
        while self.buttons(button).await > 0 {
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Takes a picture, and sees that the page has its style and nothing sticks out of it.
    pub(crate) async fn look(&self, page: &str) {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("sign_in");
        fs::create_dir_all(&folder).unwrap();
        let picture = self.client.screenshot().await.unwrap();
        fs::write(folder.join(format!("{page}-{}.png", self.kind.name)), picture).unwrap();
        let script = "return [document.documentElement.scrollWidth, innerWidth, \
             getComputedStyle(document.querySelector('main')).borderTopWidth]";
        let seen = self.client.execute(script, Vec::new()).await.unwrap();
        assert_eq!(seen[1], self.kind.width, "{page}: {seen}");
        assert!(seen[0].as_u64() <= seen[1].as_u64(), "{page} scrolls sideways: {seen}");
        assert_eq!(seen[2], "1px", "{page} has no style");
    }
}

fn labelled(button: &str) -> String {
    format!("//button[normalize-space()='{button}']")
}
