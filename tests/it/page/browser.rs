//! A browser that runs no script, and what it is shown.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Method, redirect};

use crate::support::installation::TestNode;

/// A browser that runs no script: it keeps cookies, and follows no redirect by itself.
pub(crate) struct Browser {
    http: reqwest::Client,
    url: String,
    pub(crate) jar: BTreeMap<String, String>,
    /// What it sends with each request.
    pub(crate) says: Vec<(&'static str, String)>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) html: String,
}

impl Page {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn cookies(&self) -> Vec<&str> {
        self.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect()
    }

    #[track_caller]
    pub(crate) fn has(&self, texts: &[&str]) -> &Self {
        for text in texts {
            assert!(self.html.contains(text), "no {text} in {self:?}");
        }
        self
    }

    #[track_caller]
    pub(crate) fn lacks(&self, texts: &[&str]) -> &Self {
        for text in texts {
            assert!(!self.html.contains(text), "{text} in {self:?}");
        }
        self
    }

    #[track_caller]
    pub(crate) fn is(&self, status: u16, scene: &str) -> &Self {
        assert_eq!(self.status, status, "{self:?}");
        self.has(&[&format!("data-scene=\"{scene}\"")])
    }

    /// The text between these two.
    #[track_caller]
    pub(crate) fn between(&self, before: &str, after: &str) -> &str {
        self.html.split_once(before).and_then(|(_, rest)| rest.split_once(after)).expect(before).0
    }

    /// To the page, of a browser of which it is not known whether it keeps cookies; answers that address.
    #[track_caller]
    pub(crate) fn leads_in(&self, path: &str) -> &str {
        let location = self.header("location");
        assert!(self.status == 303 && location.starts_with(&format!("{path}?arrived=")), "{self:?}");
        location
    }

    #[track_caller]
    pub(crate) fn leads_to(&self, path: &str) {
        assert_eq!((self.status, self.header("location")), (303, path), "{self:?}");
    }
}

impl Browser {
    pub(crate) fn new(node: &TestNode) -> Self {
        let http = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(Duration::from_secs(30))
            .no_proxy()
            .build()
            .unwrap();
        Self { http, url: node.url.clone(), jar: BTreeMap::new(), says: Vec::new() }
    }

    /// Comes from the shop.
    pub(crate) async fn of(node: &TestNode, campaign: &str, user: &str) -> Self {
        let mut browser = Self::new(node);
        let path = format!("/rooms/{campaign}");
        browser.get(&format!("{path}?token={}", node.token(user))).await.leads_in(&path);
        browser
    }

    pub(crate) async fn get(&mut self, path: &str) -> Page {
        self.send(Method::GET, path, &[]).await
    }

    pub(crate) async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Page {
        self.send(Method::POST, path, form).await
    }

    async fn send(&mut self, method: Method, path: &str, form: &[(&str, &str)]) -> Page {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.url));
        let cookies: Vec<String> = self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        if method == Method::POST {
            let fields: Vec<String> = form.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header("content-type", "application/x-www-form-urlencoded").body(fields.join("&"));
        }
        let request = self.says.iter().fold(request, |request, (name, value)| request.header(*name, value));
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let page = Page { status, headers, html: response.text().await.unwrap() };
        for cookie in page.cookies() {
            let (pair, attributes) = cookie.split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if attributes.contains("Max-Age=0;") {
                self.jar.remove(name);
            } else {
                self.jar.insert(name.to_owned(), value.to_owned());
            }
        }
        page
    }
}
