//! Two nodes behind a real proxy, which takes a node away from everybody when it calls it broken. Where there is no nginx, the
//! test says so.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use futures::future::join_all;
use onrush::app::Role;
use serde_json::json;
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use super::raw::{Raw, status};
use crate::support::installation::Installation;
use crate::support::names;

async fn dev_nginx(word: &str) -> (bool, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("dev/nginx");
    let output = Command::new(script).arg(word).output().await.unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// nginx before these nodes. Dropped, it is gone.
struct Proxy {
    url: String,
    folder: PathBuf,
    _child: Child,
}

impl Proxy {
    /// `None` where this machine has none, and cannot have one.
    async fn before(nodes: &[&str]) -> Option<Self> {
        let (can_be_had, why) = dev_nginx("--check").await;
        if !can_be_had {
            // Not by a macro: what these print is kept to itself where a test passes.
            let _lost = writeln!(std::io::stderr(), "the test behind a proxy is skipped: {why}");
            return None;
        }
        let (_, program) = dev_nginx("--which").await;
        assert!(!program.is_empty(), "nginx is not there, though it could be: `dev/nginx`");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(".local/test").join(names::unique("nginx"));
        std::fs::create_dir_all(&folder).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let servers: Vec<_> =
            nodes.iter().map(|url| format!("server {};", url.strip_prefix("http://").unwrap())).collect();
        let servers = servers.join("\n");
        // What it does with a node that fails is as it comes: one failure takes it away for ten seconds.
        let settings = format!(
            "daemon off;\nmaster_process off;\npid nginx.pid;\nevents {{ worker_connections 1024; }}\n\
             http {{\naccess_log off;\nclient_body_temp_path body;\nproxy_temp_path proxy;\nfastcgi_temp_path fastcgi;\n\
             uwsgi_temp_path uwsgi;\nscgi_temp_path scgi;\nclient_header_buffer_size 64k;\n\
             large_client_header_buffers 8 64k;\nupstream nodes {{\n{servers}\n}}\n\
             server {{\nlisten 127.0.0.1:{port};\nlocation / {{\nproxy_pass http://nodes;\nproxy_http_version 1.1;\n\
             proxy_set_header Connection \"\";\n}}\n}}\n}}\n"
        );
        std::fs::write(folder.join("nginx.conf"), settings).unwrap();
        let child = Command::new(program)
            .args(["-e", "errors.log", "-c", "nginx.conf", "-p"])
            .arg(&folder)
            .kill_on_drop(true)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let proxy = Self { url: format!("http://127.0.0.1:{port}"), folder, _child: child };
        for turn in 0.. {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                break;
            }
            assert!(turn < 500, "nginx does not get up: see {}", proxy.folder.display());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Some(proxy)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _kept = std::fs::remove_dir_all(&self.folder);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_serves_everybody_while_one_client_sends_what_is_refused() {
    let installation = Installation::new().await;
    let nodes = [installation.node(Role::Serve).await, installation.node(Role::Serve).await];
    let Some(proxy) = Proxy::before(&[&nodes[0].url, &nodes[1].url]).await else { return };
    let campaign = nodes[0].campaign(1_000_000, json!({})).await;
    let over = CancellationToken::new();
    let others = (0..4).map(|person| {
        let (client, campaign, over) = (installation.client(&proxy.url), campaign.clone(), over.clone());
        tokio::spawn(async move {
            let mut heard = Vec::new();
            while !over.is_cancelled() {
                heard.push(client.get("/healthz").await.status);
                heard.push(client.claim(&campaign, &format!("user-{person}-{}", heard.len())).await.status);
            }
            heard
        })
    });
    let others: Vec<_> = others.collect();
    let many = "X-Number: 1\r\n".repeat(110);
    let long = format!("X-Long: {}\r\n", "x".repeat(50_000));
    for turn in 0..60 {
        // In turn: too many, and too long.
        let headers = if turn % 2 == 0 { &many } else { &long };
        let mut raw = Raw::to(&proxy.url).await;
        raw.say(format!("GET /healthz HTTP/1.1\r\nHost: onrush\r\n{headers}Connection: close\r\n\r\n")).await;
        let heard = raw.until_it_ends().await;
        assert_eq!(status(&heard), 431, "turn {turn}: {heard:.200}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    over.cancel();
    let heard: Vec<u16> = join_all(others).await.into_iter().flat_map(Result::unwrap).collect();
    let wrong: Vec<&u16> = heard.iter().filter(|status| ![200, 201].contains(*status)).collect();
    assert!(wrong.is_empty(), "{} of {} were not served: {wrong:?}", wrong.len(), heard.len());
    assert!(heard.len() > 100, "{} requests have shown nothing", heard.len());
}
