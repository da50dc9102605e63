//! What can be seen from outside? Log lines, spans and metrics, set up once a process.

mod metrics;

use std::io::IsTerminal;
use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, Telemetry};

/// Bounds of all histograms of seconds: a quarter of a millisecond to ten seconds.
const SECONDS: [f64; 15] =
    [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Bounds of histograms that count what travels together.
const COUNTS: [f64; 12] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0];

/// How often what histograms have recorded is put into their buckets. Until then each value is kept by itself.
const KEEP_UP_EVERY: Duration = Duration::from_millis(250);

/// Starts to write log lines to standard error. A filter that does not parse is an error; a second call does nothing.
pub fn start_log(config: &Telemetry) -> Result<(), tracing_subscriber::filter::ParseError> {
    let filter = EnvFilter::try_new(&config.log)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let started = match config.log_format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    if let Err(error) = started {
        tracing::debug!(%error, "the log had been started before");
    }
    Ok(())
}

/// The one collection of this process' metrics; several nodes of one process share it.
#[must_use]
pub fn metrics() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let collected = PrometheusBuilder::new()
                .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)
                .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_requests".into()), &COUNTS))
                .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_facts".into()), &COUNTS))
                .and_then(PrometheusBuilder::install_recorder)
                .expect("the bounds are not empty, and nothing else in this process records metrics");
            metrics::describe();
            collected
        })
        .clone()
}

/// Keeps the memory of histograms bounded where nobody reads the metrics. Until told to stop.
pub async fn keep_up(metrics: PrometheusHandle, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(KEEP_UP_EVERY)).await.is_some() {
        let metrics = metrics.clone();
        // Tens of thousands of values in a burst: not on a thread that answers requests.
        if tokio::task::spawn_blocking(move || metrics.run_upkeep()).await.is_err() {
            tracing::error!("the histograms could not be put into their buckets");
        }
    }
}
