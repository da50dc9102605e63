//! How does one see a page? In Debian's Chromium, through its driver, with nothing remembered from before.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use testkit::patience::Patience;
use testkit::port::free_port;
use testkit::process::{Process, Program};

const READY_MAX: Duration = Duration::from_mins(1);
/// How long a page may take to show what it will show.
const SHOWN_MAX: Duration = Duration::from_secs(45);

/// How large the window is, and what it can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// A phone of 390 by 844, with two pixels for each.
    Phone,
    /// A window of 1280 by 800.
    Desktop,
}

/// What a browser's user has set.
#[derive(Debug, Clone, Copy)]
pub struct Taste {
    /// The window.
    pub window: Window,
    /// What they read: `ko-KR,ko`.
    pub languages: &'static str,
    /// Light on dark.
    pub is_dark: bool,
}

/// A browser.
pub struct Browser {
    client: Client,
    _driver: Process,
}

/// Whether there is a Chromium that can be driven.
#[must_use]
pub fn is_there() -> bool {
    ["/usr/bin/chromium", "/usr/bin/chromedriver"].into_iter().all(|program| Path::new(program).exists())
}

impl Browser {
    /// A new one, whose files are in a folder of this name below the given one.
    pub async fn start(folder: &Path, name: &str, taste: Taste) -> anyhow::Result<Self> {
        let folder = fresh(folder, name)?;
        let port = free_port()?;
        let home = folder.display().to_string();
        let envs = [
            ("HOME", home.clone()),
            ("XDG_CONFIG_HOME", format!("{home}/config")),
            ("XDG_CACHE_HOME", format!("{home}/cache")),
            ("TZ", "Asia/Seoul".into()),
        ];
        let driver = Program::new("chromedriver", "/usr/bin/chromedriver")
            .args([format!("--port={port}")])
            .envs(envs.map(|(name, value)| (name.to_owned(), value)))
            .folder(&folder)
            .start(&folder.join("chromedriver.log"))?;
        let address = format!("http://127.0.0.1:{port}");
        let patience = Patience::new("the driver starts a browser", READY_MAX);
        let client = loop {
            let mut builder = ClientBuilder::new(HttpConnector::new());
            match builder.capabilities(capabilities(&folder, taste)).connect(&address).await {
                Ok(client) => break client,
                Err(error) => patience.wait().await.with_context(|| error.to_string())?,
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        Ok(Self { client, _driver: driver })
    }

    /// Ends it.
    pub async fn end(self) {
        // The driver ends with this program, and its browser with it.
        let _gone = self.client.close().await;
    }

    /// Opens an address.
    pub async fn open(&self, url: &str) -> anyhow::Result<()> {
        Ok(self.client.goto(url).await?)
    }

    /// The address that it shows.
    pub async fn address(&self) -> anyhow::Result<String> {
        Ok(self.client.current_url().await?.into())
    }

    /// The title of the tab.
    pub async fn title(&self) -> anyhow::Result<String> {
        Ok(self.client.title().await?)
    }

    /// Clicks a button or a link.
    pub async fn click(&self, css: &str) -> anyhow::Result<()> {
        self.client.find(Locator::Css(css)).await.with_context(|| css.to_owned())?.click().await?;
        Ok(())
    }

    /// The text of an element, as it is shown.
    pub async fn text(&self, css: &str) -> anyhow::Result<String> {
        Ok(self.client.find(Locator::Css(css)).await.with_context(|| css.to_owned())?.text().await?)
    }

    /// What this expression is in the page.
    pub async fn value(&self, expression: &str) -> anyhow::Result<Value> {
        Ok(self.client.execute(&format!("return ({expression});"), Vec::new()).await?)
    }

    /// Runs this in the page.
    pub async fn run(&self, script: &str) -> anyhow::Result<()> {
        self.client.execute(script, Vec::new()).await.map(drop).map_err(Into::into)
    }

    /// Waits until this expression is true in the page. While a page is replaced by another it is not.
    pub async fn until(&self, expression: &str) -> anyhow::Result<()> {
        let deadline = tokio::time::Instant::now() + SHOWN_MAX;
        while self.value(expression).await.ok() != Some(Value::Bool(true)) {
            let late = tokio::time::Instant::now() > deadline;
            ensure!(!late, "never so: {expression}; the page: {}", self.text("body").await.unwrap_or_default());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Waits until the element says this.
    pub async fn until_says(&self, css: &str, words: &str) -> anyhow::Result<()> {
        self.until(&format!("document.querySelector({})?.textContent.trim() === {}", json!(css), json!(words))).await
    }

    /// A picture of what is seen.
    pub async fn picture(&self, path: &Path) -> anyhow::Result<()> {
        // The bar has come to rest by then.
        tokio::time::sleep(Duration::from_millis(800)).await;
        std::fs::write(path, self.client.screenshot().await?)?;
        Ok(())
    }
}

fn capabilities(folder: &Path, taste: Taste) -> Capabilities {
    let mut args = vec![
        "--headless=new".to_owned(),
        "--no-sandbox".into(),
        "--disable-gpu".into(),
        "--disable-dev-shm-usage".into(),
        "--disable-quic".into(),
        "--no-first-run".into(),
        "--disable-background-networking".into(),
        "--disable-component-update".into(),
        "--disable-sync".into(),
        "--hide-scrollbars".into(),
        format!("--user-data-dir={}", folder.join("profile").display()),
    ];
    if taste.is_dark {
        args.push("--force-dark-mode".into());
    }
    if taste.window == Window::Desktop {
        args.push("--window-size=1280,900".into());
    }
    let mut options = json!({
        "binary": "/usr/bin/chromium",
        "args": args,
        "prefs": {"intl.accept_languages": taste.languages},
    });
    if taste.window == Window::Phone {
        let metrics = json!({"width": 390, "height": 844, "pixelRatio": 2.0, "touch": true, "mobile": true});
        options["mobileEmulation"] = json!({ "deviceMetrics": metrics });
    }
    let all = json!({"browserName": "chrome", "goog:chromeOptions": options});
    all.as_object().cloned().unwrap_or_default()
}

/// A folder with nothing in it but which font the system's is: without a desktop there is no such setting.
fn fresh(folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let folder = folder.join(name);
    // There is none as a rule.
    let _none = std::fs::remove_dir_all(&folder);
    let fonts = folder.join("config/fontconfig");
    std::fs::create_dir_all(&fonts)?;
    let alias = |family: &str| {
        format!(
            "<alias binding=\"same\"><family>{family}</family><prefer><family>Noto Sans CJK KR</family></prefer></alias>"
        )
    };
    let text = format!(
        "<?xml version=\"1.0\"?><!DOCTYPE fontconfig SYSTEM \"fonts.dtd\"><fontconfig>{}{}</fontconfig>",
        alias("system-ui"),
        alias("sans-serif"),
    );
    std::fs::write(fonts.join("fonts.conf"), text)?;
    Ok(folder)
}
