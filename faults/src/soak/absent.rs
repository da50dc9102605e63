//! Who never reads? Sends one request after the other until nothing more is taken, and waits; when the node closes the
//! connection, as it must, it comes again.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use testkit::client::token;
use tokio::net::{TcpSocket, TcpStream};

use super::board::Kind;
use super::scale::ANSWER_MAX;
use super::stage::Stage;
use super::wire::Counted;
use crate::draw::Draw;

/// Requests on one connection; then one more now and then, since only who sends notices that a node has closed it.
const REQUESTS_MAX: usize = 400;
const THEN_EVERY: Duration = Duration::from_secs(3);
/// So many of these more, if all answers have found room in the kernel's buffers.
const THEN_MAX: usize = 15;
/// The kernel's buffers of such a client, in bytes: its silence is to be noticed soon, and it is the node's memory that is
/// looked at.
const RECEIVE_BYTES: u32 = 8 << 10;
const SEND_BYTES: u32 = 16 << 10;
/// How often it looks whether more is taken.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How much later than promised a node may close such a connection, pauses and load included.
const LATE_MAX: Duration = Duration::from_secs(20);

/// What is asked for and not read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wants {
    /// The largest file that there is.
    Docs,
    List,
    Metrics,
    Claims,
}

/// Plays one of them to the end of the soak.
pub(super) async fn play(stage: Arc<Stage>, place: usize) -> anyhow::Result<()> {
    let user = format!("absent-{place}");
    let mut token = token(&user)?;
    let mut draw = Draw::new(stage.scale.seed.wrapping_mul(7_919).wrapping_add(place as u64));
    stage.sleep(stage.opens_after(place, stage.scale.absent())).await;
    let mut serial = 0;
    while stage.goes_on() {
        let wants = match draw.number(0..100) {
            0..65 => Wants::Docs,
            65..85 => Wants::List,
            85..95 => Wants::Metrics,
            _ => Wants::Claims,
        };
        let kind = [Kind::Plenty, Kind::Scarce][draw.place(2)];
        let campaign = stage.board.pick(&mut draw, kind);
        let mut request = || match (wants, &campaign) {
            (Wants::Docs, _) => "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: soak\r\n\r\n".to_owned(),
            (Wants::Metrics, _) => "GET /metrics HTTP/1.1\r\nHost: soak\r\n\r\n".to_owned(),
            (Wants::Claims, Some(campaign)) => {
                serial += 1;
                format!(
                    "POST /v1/campaigns/{}/claims HTTP/1.1\r\nHost: soak\r\nAuthorization: Bearer {token}\r\n\
                     Idempotency-Key: {serial}\r\nContent-Length: 0\r\n\r\n",
                    campaign.id
                )
            }
            (Wants::List | Wants::Claims, _) => "GET /v1/campaigns?limit=100 HTTP/1.1\r\nHost: soak\r\n\r\n".to_owned(),
        };
        if let Ok(stream) = connect(&stage, place).await {
            let _counted = Counted::new(&stage.open.absent);
            hold(&stage, &stream, wants, &mut request).await;
        }
        token = testkit::client::token(&user)?;
        stage.sleep(draw.ms(10..500)).await;
    }
    Ok(())
}

async fn connect(stage: &Stage, place: usize) -> anyhow::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(RECEIVE_BYTES)?;
    socket.set_send_buffer_size(SEND_BYTES)?;
    let connecting = socket.connect(stage.nodes[place % stage.nodes.len()]);
    Ok(tokio::time::timeout(ANSWER_MAX, connecting).await??)
}

/// Until the node closes it; or, where the node has nothing that waits to be written, for a while.
async fn hold(stage: &Stage, stream: &TcpStream, wants: Wants, request: &mut impl FnMut() -> String) {
    let (mut sent, mut rest) = (0, Vec::new());
    let mut stuck_since: Option<Instant> = None;
    while stage.goes_on() {
        if rest.is_empty() {
            if sent >= REQUESTS_MAX {
                if stuck_since.is_none() && sent > REQUESTS_MAX + THEN_MAX {
                    return;
                }
                // All of these answers together fit into no buffer.
                if wants == Wants::Docs {
                    stuck_since.get_or_insert_with(Instant::now);
                }
                stage.sleep(THEN_EVERY).await;
            }
            rest = request().into_bytes();
            sent += 1;
        }
        // Timing out is what is waited for here.
        let _later = tokio::time::timeout(LOOK_EVERY, stream.writable()).await;
        match stream.try_write(&rest) {
            Ok(written) => {
                rest.drain(..written);
                if wants != Wants::Docs {
                    stuck_since = None;
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                stuck_since.get_or_insert_with(Instant::now);
            }
            Err(_) => {
                stage.verdict.count("connections of who does not read that a node closed");
                return;
            }
        }
        let patience = stage.scale.write_stall() + LATE_MAX;
        if stuck_since.is_some_and(|since| since.elapsed() > patience) {
            stage.verdict.wrong("who does not read keeps a place", || {
                format!("for {patience:?} after {sent} requests, {}", stage.at())
            });
            return;
        }
    }
}
