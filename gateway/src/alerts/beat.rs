//! The heartbeat: as long as the writer gets on, a file says so every minute, and a server outside is called.
//! Whoever watches it tells people when it stays away, which a gateway that is down cannot. Not here: who
//! watches.

use std::{io, time::Duration};

use courier::Hook;
use proto::alert::Severity;
use serde_json::json;
use tokio::{task::spawn_blocking, time::sleep};

use crate::{clock, place::replace_private, service::Gateway};

/// How often.
pub(super) const BEAT_EVERY: Duration = Duration::from_secs(60);
/// How soon it is tried again where it could not beat.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// What it is called among the ways.
pub(super) const NAME: &str = "heartbeat";
/// The file, in the gateway's folder.
const FILE: &str = "heartbeat.json";

/// Beats as long as the gateway runs.
pub(super) async fn run(gateway: &Gateway, hook: Option<&Hook>) {
    loop {
        // Where the writer hangs, staying silent is what is listened for. Nor does it beat where the disk
        // takes no file.
        if gateway.hub.stalled_ms(clock::now()).is_some() || !is_written(gateway).await {
            sleep(AGAIN_AFTER).await;
            continue;
        }
        if let Some(hook) = hook {
            let result = hook.carry(&said(gateway)).await;
            gateway.alerts.note(NAME, result);
            gateway.metrics.operations.told(NAME, result.is_ok());
            if let Err(why) = result {
                tracing::warn!(%why, "the heartbeat could not be sent");
            }
        }
        sleep(BEAT_EVERY).await;
    }
}

async fn is_written(gateway: &Gateway) -> bool {
    let (path, text) = (gateway.alerts.folder.join(FILE), said(gateway) + "\n");
    let written = spawn_blocking(move || replace_private(&path, text.as_bytes())).await;
    let written = written.unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into()));
    if let Err(error) = &written {
        tracing::warn!(kind = ?error.kind(), "heartbeat.json cannot be written");
    }
    written.is_ok()
}

/// How the gateway is, in figures.
fn said(gateway: &Gateway) -> String {
    let standing = gateway.alerts.standing();
    let count = |severity| standing.iter().filter(|alert| alert.key.code.severity() == severity).count();
    json!({
        "kind": "heartbeat",
        "network": gateway.alerts.network,
        "at_ms": clock::now().0,
        "last_sync_ms": gateway.metrics.operations.last_sync().0,
        "evidence_size": gateway.hub.evidence_size(),
        "critical": count(Severity::Critical),
        "warning": count(Severity::Warning),
    })
    .to_string()
}
