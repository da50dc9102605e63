//! How much memory does a process have, over time?

use std::time::{Duration, Instant};

use testkit::usage::resident_bytes;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// One look at a time.
pub struct Sampler {
    stop: watch::Sender<bool>,
    looking: JoinHandle<Vec<Sample>>,
}

/// What was seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Since it began.
    pub at: Duration,
    /// Resident memory, in MiB.
    pub mib: f64,
}

impl Sampler {
    /// Looks as often as this, until it is told to stop or the process is gone.
    #[must_use]
    pub fn start(pid: u32, every: Duration) -> Self {
        let (stop, mut stopped) = watch::channel(false);
        let looking = tokio::spawn(async move {
            let begun = Instant::now();
            let mut samples = Vec::new();
            while let Ok(bytes) = resident_bytes(pid) {
                #[expect(clippy::cast_precision_loss)]
                samples.push(Sample { at: begun.elapsed(), mib: bytes as f64 / f64::from(1 << 20) });
                if tokio::time::timeout(every, stopped.changed()).await.is_ok() {
                    break;
                }
            }
            samples
        });
        Self { stop, looking }
    }

    /// All that was seen.
    pub async fn stop(self) -> anyhow::Result<Vec<Sample>> {
        self.stop.send_replace(true);
        Ok(self.looking.await?)
    }
}

/// The mean of what was seen between two moments; 0 where there was nothing.
#[must_use]
pub fn mean_mib(samples: &[Sample], from: Duration, to: Duration) -> f64 {
    let within: Vec<f64> =
        samples.iter().filter(|sample| sample.at >= from && sample.at < to).map(|sample| sample.mib).collect();
    #[expect(clippy::cast_precision_loss)]
    let count = within.len().max(1) as f64;
    within.iter().sum::<f64>() / count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_is_that_of_its_stretch_of_time() {
        let samples: Vec<_> =
            (0..10).map(|s| Sample { at: Duration::from_secs(s), mib: if s < 5 { 10.0 } else { 20.0 } }).collect();
        for (from, to, mean) in [(0, 5, 10.0), (5, 10, 20.0), (4, 6, 15.0), (20, 30, 0.0)] {
            let found = mean_mib(&samples, Duration::from_secs(from), Duration::from_secs(to));
            assert!((found - mean).abs() < 1e-9, "{found} from {from} s to {to} s");
        }
    }

    #[tokio::test]
    async fn it_looks_until_it_is_stopped() {
        let sampler = Sampler::start(std::process::id(), Duration::from_millis(5));
        tokio::time::sleep(Duration::from_millis(50)).await;
        let seen = sampler.stop().await.unwrap();
        assert!(seen.len() >= 2 && seen.iter().all(|sample| sample.mib > 1.0), "{seen:?}");
    }
}
