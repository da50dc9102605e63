//! Who sends rubbish? A stranger who connects, waits, sends what is no request, hears what the node has to say to that, and comes
//! again.

use std::sync::Arc;

use testkit::client::token;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::board::Kind;
use super::garbage::{Then, garbage};
use super::scale::ANSWER_MAX;
use super::stage::Stage;
use super::wire::Counted;
use crate::draw::Draw;

/// Plays one of them to the end of the soak.
pub(super) async fn play(stage: Arc<Stage>, place: usize) -> anyhow::Result<()> {
    let user = format!("rubbish-{place}");
    let mut draw = Draw::new(stage.scale.seed.wrapping_mul(104_729).wrapping_add(place as u64));
    stage.sleep(stage.opens_after(place, stage.scale.rubbish())).await;
    while stage.goes_on() {
        // The node may close the connection whenever it wants.
        let _ended = visit(&stage, place, &user, &mut draw).await;
        stage.sleep(draw.ms(10..200)).await;
    }
    Ok(())
}

/// One connection: silence, rubbish, and whatever the node makes of it.
async fn visit(stage: &Stage, place: usize, user: &str, draw: &mut Draw) -> anyhow::Result<()> {
    let connecting = TcpStream::connect(stage.nodes[place % stage.nodes.len()]);
    let stream = tokio::time::timeout(ANSWER_MAX, connecting).await??;
    let _counted = Counted::new(&stage.open.rubbish);
    let turn = u64::try_from(stage.scale.turn().as_millis()).unwrap_or(u64::MAX);
    stage.sleep(draw.ms(turn / 2..turn)).await;
    let campaign = stage.board.pick(draw, Kind::Plenty);
    let path = campaign.map(|campaign| format!("/v1/campaigns/{}/claims", campaign.id)).unwrap_or_default();
    let (what, bytes, then) = garbage(draw, &(path, token(user)?));
    let until = stage.end.min(tokio::time::Instant::now() + draw.ms(turn / 2..turn));
    tokio::time::timeout_at(until, send(stage, stream, (what, &bytes, then))).await?
}

async fn send(
    stage: &Stage,
    mut stream: TcpStream,
    (what, bytes, then): (&'static str, &[u8], Then),
) -> anyhow::Result<()> {
    stage.verdict.count(format!("rubbish: {what}"));
    stream.write_all(bytes).await?;
    match then {
        Then::HangUp => return Ok(()),
        Then::Finish => stream.shutdown().await?,
        Then::Listen => {}
    }
    let mut heard = vec![0; 4 << 10];
    let mut is_first = true;
    loop {
        let count = stream.read(&mut heard).await?;
        if count == 0 {
            stage.verdict.count("connections with rubbish that a node closed");
            return Ok(());
        }
        if std::mem::take(&mut is_first) {
            let answer = String::from_utf8_lossy(&heard[..count.min(300)]);
            let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).unwrap_or("HTTP/2");
            stage.verdict.count(format!("rubbish answered: {status}"));
            if status.starts_with('5') && status != "503" {
                stage.verdict.wrong("5xx", || format!("{what} is answered {answer}"));
            }
        }
    }
}
