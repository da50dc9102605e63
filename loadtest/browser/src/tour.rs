//! A visitor's way through the waiting room. Each step says what must be seen, and takes a picture of it.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::ensure;
use serde_json::json;
use testkit::client::Method;
use testkit::node::Setting;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::browser::{Browser, Taste, Window};
use crate::installation::{Installation, Node};

/// Users who queue before the visitor, those inside included.
const BEFORE: usize = 27;
const INSIDE: usize = 3;

const ENGLISH: Taste = Taste { window: Window::Phone, languages: "en-GB,en", is_dark: false };
const KOREAN: Taste = Taste { window: Window::Phone, languages: "ko-KR,ko", is_dark: false };
const DESKTOP: Taste = Taste { window: Window::Desktop, languages: "en-GB,en", is_dark: false };
const DARK: Taste = Taste { window: Window::Phone, languages: "en-GB,en", is_dark: true };

/// How long before its opening the visitor comes to a campaign.
const BEFORE_OPENING: Duration = Duration::from_secs(12);

/// By then the page has gone on to the shop, if nobody stopped it.
const FORWARDED_BY: Duration = Duration::from_secs(5);

/// Where everything is.
pub struct Places {
    /// Where logs and browsers' files are.
    pub folder: PathBuf,
    /// Where the pictures are put.
    pub pictures: PathBuf,
}

/// All who take part.
struct Tour {
    places: Places,
    installation: Installation,
    /// It offers to claim on the page.
    node: Node,
    /// It sends visitors on to their shop.
    shop: Node,
    /// The same, and it has no events.
    mute: Node,
}

/// The whole tour.
pub async fn take(places: Places) -> anyhow::Result<()> {
    std::fs::create_dir_all(&places.pictures)?;
    let installation = Installation::new(&places.folder).await?;
    let look: [Setting; 2] = [("PAGE__NAME", "Haru Market".into()), ("PAGE__HOME_URL", "https://shop.example".into())];
    let node = installation.node(&look).await?;
    // Whatever answers where a visitor is sent to will do: here the node itself does.
    let return_url = format!("{}/healthz?campaign={{campaign}}&pass={{pass}}", node.url);
    let korean: [Setting; 2] = [("PAGE__NAME", "하루마켓".into()), ("PAGE__RETURN_URL", return_url)];
    let shop = installation.node(&korean).await?;
    let mute: [Setting; 2] =
        [("WAITING__STREAMS_MAX", "0".into()), ("PAGE__RETURN_URL", "https://shop.example/?pass={pass}".into())];
    let mute = installation.node(&mute).await?;
    let mut tour = Tour { places, installation, node, shop, mute };
    tour.opening().await?;
    tour.queue().await?;
    tour.sold_out().await?;
    tour.korean().await?;
    tour.without_events().await?;
    tour.operators().await?;
    tour.desktop().await?;
    tour.dark().await
}

impl Tour {
    /// The button that works from the opening on.
    async fn opening(&self) -> anyhow::Result<()> {
        // First, since it takes its time on a machine that is busy.
        let browser = self.browser("opening", ENGLISH).await?;
        #[expect(clippy::disallowed_methods, reason = "a time to come is wanted, by this machine's clock")]
        let opens_at = OffsetDateTime::from(SystemTime::now() + BEFORE_OPENING).format(&Rfc3339)?;
        let body = json!({
            "id": "SOON", "name": "Winter boots, 40 % off", "stock": 100, "waiting": {"active_max": INSIDE},
            "opens_at": opens_at,
        });
        self.installation.campaign(&self.node, &body).await?;
        browser.open(&self.node.entrance("SOON", "visitor")?).await?;
        says(&browser, "h1", "Not open yet").await?;
        browser.run("window.sameDocument = true").await?;
        ensure!(browser.value("document.querySelector('#join').disabled").await? == json!(true), "it may be pressed");
        self.picture(&browser, "0-not-open-yet").await?;
        browser.until("document.querySelector('#join').disabled === false").await?;
        same_document(&browser).await?;
        browser.click("#join").await?;
        browser.until("document.querySelector('main').dataset.scene === 'admitted'").await?;
        browser.end().await;
        Ok(())
    }

    /// Join, wait, lose the node and find it again, be admitted, claim.
    async fn queue(&mut self) -> anyhow::Result<()> {
        let users = self.campaign("BOOTS", "Winter boots, 40 % off", 100).await?;
        let browser = self.browser("queue", ENGLISH).await?;
        browser.open(&self.node.entrance("BOOTS", "visitor")?).await?;
        let address = browser.address().await?;
        ensure!(address == format!("{}/rooms/BOOTS", self.node.url), "the token stays in the address: {address}");
        says(&browser, "h1", "Join the queue").await?;
        self.picture(&browser, "1-join").await?;

        browser.click("#join").await?;
        browser.until("document.querySelector('main').dataset.scene === 'waiting'").await?;
        says(&browser, "#ahead", "24").await?;
        says(&browser, "#people", "people ahead of you").await?;
        says(&browser, "#place", "28").await?;
        ensure!(browser.value("document.querySelector('#bar').value").await? == json!(0), "the way has just begun");
        browser.run("window.sameDocument = true").await?;

        // Who leaves from inside lets the next one in: everybody moves up, and the page with them.
        self.installation.leave(&self.node, "BOOTS", &users[..6]).await?;
        browser.until_says("#ahead", "18").await?;
        ensure!(browser.value("document.querySelector('#bar').value").await? == json!(6), "the bar does not move");
        same_document(&browser).await?;
        has_not_asked(&browser).await?;
        self.picture(&browser, "2-waiting").await?;

        self.node.kill();
        browser.until_says("#lost", "Connection lost. Trying again …").await?;
        says(&browser, "#ahead", "18").await?;
        self.picture(&browser, "3-connection-lost").await?;
        self.installation.start(&mut self.node).await?;
        browser.until_says("#lost", "").await?;
        self.installation.leave(&self.node, "BOOTS", &users[6..10]).await?;
        browser.until_says("#ahead", "14").await?;
        same_document(&browser).await?;
        self.picture(&browser, "4-recovered").await?;

        let before = browser.title().await?;
        self.installation.leave(&self.node, "BOOTS", &users[10..]).await?;
        browser.until("document.querySelector('main').dataset.scene === 'admitted'").await?;
        same_document(&browser).await?;
        let title = browser.title().await?;
        ensure!(title.starts_with("It is your turn") && title != before, "the tab does not tell: {title}");
        self.picture(&browser, "5-admitted").await?;

        browser.click("#claim").await?;
        browser.until("document.querySelector('main').dataset.scene === 'claimed'").await?;
        says(&browser, "dd.number", "1").await?;
        let code = browser.text("dd.code").await?;
        ensure!(code.len() == 24 && code.matches('-').count() == 4, "no coupon code: {code}");
        self.picture(&browser, "6-claimed").await?;
        browser.end().await;
        Ok(())
    }

    /// The last unit goes while one waits, and comes back.
    async fn sold_out(&self) -> anyhow::Result<()> {
        let users = self.campaign("LAST", "The last pair", 1).await?;
        let browser = self.browser("sold-out", ENGLISH).await?;
        browser.open(&self.node.entrance("LAST", "visitor")?).await?;
        browser.click("#join").await?;
        browser.until("document.querySelector('main').dataset.scene === 'waiting'").await?;
        browser.run("window.sameDocument = true").await?;
        let claim = self.installation.claim(&self.node, "LAST", &users[0]).await?;
        browser.until("document.querySelector('main').dataset.scene === 'sold_out'").await?;
        says(&browser, "h1", "Sold out for now").await?;
        self.picture(&browser, "7-sold-out").await?;
        self.installation.give_back(&self.node, &claim, &users[0]).await?;
        browser.until("document.querySelector('main').dataset.scene === 'waiting'").await?;
        same_document(&browser).await?;
        browser.end().await;
        Ok(())
    }

    /// The same in Korean, and on to the shop.
    async fn korean(&self) -> anyhow::Result<()> {
        let users = self.campaign("SEOUL", "겨울 부츠 40% 할인", 100).await?;
        let browser = self.browser("korean", KOREAN).await?;
        browser.open(&self.shop.entrance("SEOUL", "손님")?).await?;
        says(&browser, "h1", "대기열에 참여하세요").await?;
        browser.click("#join").await?;
        browser.until("document.querySelector('main').dataset.scene === 'waiting'").await?;
        says(&browser, "#people", "내 앞 대기 인원").await?;
        says(&browser, "#place", "28번").await?;
        self.installation.leave(&self.shop, "SEOUL", &users[..9]).await?;
        browser.until_says("#ahead", "15명").await?;
        self.picture(&browser, "8-korean").await?;
        self.installation.leave(&self.shop, "SEOUL", &users[9..]).await?;
        browser.until("document.querySelector('#forward')?.hidden === false").await?;
        ensure!(browser.title().await?.starts_with("고객님 차례입니다"), "the tab does not tell");
        self.picture(&browser, "9-korean-admitted").await?;
        browser.until("location.pathname === '/healthz'").await?;
        let address = browser.address().await?;
        ensure!(address.contains("?campaign=SEOUL&pass=ey"), "sent on without a pass: {address}");
        browser.end().await;
        Ok(())
    }

    /// Where no events are to be had the page asks. Who wants to stay there is not sent on.
    async fn without_events(&self) -> anyhow::Result<()> {
        let users = self.campaign("QUIET", "Winter boots, 40 % off", 100).await?;
        let browser = self.browser("without-events", ENGLISH).await?;
        browser.open(&self.mute.entrance("QUIET", "visitor")?).await?;
        browser.click("#join").await?;
        browser.until("document.querySelector('main').dataset.scene === 'waiting'").await?;
        browser.run("window.sameDocument = true").await?;
        self.installation.leave(&self.mute, "QUIET", &users[..20]).await?;
        browser.until_says("#ahead", "4").await?;
        ensure!(has_not_asked(&browser).await.is_err(), "there are events after all");
        says(&browser, "#lost", "").await?;
        self.installation.leave(&self.mute, "QUIET", &users[20..]).await?;
        browser.until("document.querySelector('#forward')?.hidden === false").await?;
        browser.click("#stay").await?;
        browser.until("document.querySelector('#forward').hidden").await?;
        tokio::time::sleep(FORWARDED_BY).await;
        same_document(&browser).await?;
        browser.end().await;
        Ok(())
    }

    /// What an operator does is seen in the page as it is: the admission stops and goes on, a sentence is said, a pause ends.
    async fn operators(&self) -> anyhow::Result<()> {
        self.campaign("STOP", "Winter boots, 40 % off", 100).await?;
        let browser = self.browser("operators", ENGLISH).await?;
        browser.open(&self.node.entrance("STOP", "visitor")?).await?;
        browser.click("#join").await?;
        browser.until("document.querySelector('main').dataset.scene === 'waiting'").await?;
        browser.run("window.sameDocument = true").await?;
        let operate = async |path: &str| self.installation.operate(&self.node, Method::POST, path, &json!({})).await;
        operate("/v1/ops/waiting/STOP/pause").await?;
        browser.until("document.querySelector('#paused').hidden === false").await?;
        let message = json!({"waiting": {"message": {"en": "<i>Back at eleven</i>"}}});
        self.installation.operate(&self.node, Method::PATCH, "/v1/campaigns/STOP", &message).await?;
        browser.until_says("#message", "<i>Back at eleven</i>").await?;
        operate("/v1/ops/waiting/STOP/resume").await?;
        browser.until("document.querySelector('#paused').hidden").await?;
        same_document(&browser).await?;
        has_not_asked(&browser).await?;

        // Who does not wait hears no events, and sees it go on all the same.
        self.campaign("LATER", "Winter boots, 40 % off", 100).await?;
        operate("/v1/campaigns/LATER/pause").await?;
        browser.open(&self.node.entrance("LATER", "visitor")?).await?;
        says(&browser, "h1", "Paused for the moment").await?;
        operate("/v1/campaigns/LATER/resume").await?;
        browser.until("document.querySelector('main').dataset.scene === 'join'").await?;
        browser.end().await;
        Ok(())
    }

    /// In a large window.
    async fn desktop(&self) -> anyhow::Result<()> {
        let users = self.campaign("DESK", "Winter boots, 40 % off", 100).await?;
        let browser = self.browser("desktop", DESKTOP).await?;
        browser.open(&self.node.entrance("DESK", "visitor")?).await?;
        browser.click("#join").await?;
        browser.until("document.querySelector('main').dataset.scene === 'waiting'").await?;
        self.installation.leave(&self.node, "DESK", &users[..12]).await?;
        browser.until_says("#ahead", "12").await?;
        self.picture(&browser, "10-desktop").await?;
        browser.end().await;
        Ok(())
    }

    /// Light on dark.
    async fn dark(&self) -> anyhow::Result<()> {
        let users = self.campaign("NIGHT", "Winter boots, 40 % off", 100).await?;
        let browser = self.browser("dark", DARK).await?;
        browser.open(&self.node.entrance("NIGHT", "visitor")?).await?;
        browser.click("#join").await?;
        browser.until("document.querySelector('main').dataset.scene === 'waiting'").await?;
        browser.until("matchMedia('(prefers-color-scheme: dark)').matches").await?;
        self.installation.leave(&self.node, "NIGHT", &users[..16]).await?;
        browser.until_says("#ahead", "8").await?;
        self.picture(&browser, "11-dark").await?;
        browser.end().await;
        Ok(())
    }

    /// A campaign with people inside and in the queue; answers who they are.
    async fn campaign(&self, id: &str, name: &str, stock: u64) -> anyhow::Result<Vec<String>> {
        let waiting = json!({"active_max": INSIDE, "pass_ttl_s": 600, "claim_pass_within_s": 120});
        let body = json!({"id": id, "name": name, "stock": stock, "waiting": waiting});
        self.installation.campaign(&self.node, &body).await?;
        let users: Vec<String> = (1..=BEFORE).map(|n| format!("user-{n}")).collect();
        self.installation.join(&self.node, id, &users).await?;
        Ok(users)
    }

    async fn browser(&self, name: &str, taste: Taste) -> anyhow::Result<Browser> {
        Browser::start(&self.places.folder, name, taste).await
    }

    async fn picture(&self, browser: &Browser, name: &str) -> anyhow::Result<()> {
        browser.picture(&self.places.pictures.join(format!("{name}.png"))).await
    }
}

/// It was events that moved the page so far: it has not asked once.
async fn has_not_asked(browser: &Browser) -> anyhow::Result<()> {
    let asked = "performance.getEntriesByType('resource').filter((it) => it.name.endsWith('/state')).length";
    ensure!(browser.value(asked).await? == json!(0), "the page asks, though there are events");
    Ok(())
}

async fn says(browser: &Browser, css: &str, words: &str) -> anyhow::Result<()> {
    let said = browser.text(css).await?;
    ensure!(said == words, "{css} says “{said}”, not “{words}”");
    Ok(())
}

/// The page has been changed in place since it was marked, not loaded again.
async fn same_document(browser: &Browser) -> anyhow::Result<()> {
    ensure!(browser.value("window.sameDocument === true").await? == json!(true), "the page was loaded again");
    Ok(())
}
