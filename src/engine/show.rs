//! What the engine shows to whoever looks, reads pages and counts for it.

use super::poller::Looking;
use super::run::Engine;
use crate::model::RollOut;
use crate::watch::Stage;

impl Engine {
    /// Shows others what has to be looked at.
    pub(super) fn show(&mut self) {
        let mut looking = Looking::default();
        for watch in self.live.watches.values().map(|kept| &kept.watch) {
            let key = &watch.deployment.service.key;
            looking.watched.insert(key.clone());
            let rolling = watch
                .sighting
                .as_ref()
                .is_none_or(|sighting| sighting.primary.roll_out == RollOut::InProgress);
            let moving = match &watch.stage {
                Stage::Announced { .. } | Stage::Starting | Stage::RollingBack(_) => true,
                Stage::Watching => rolling,
                Stage::Ended { .. } => false,
            };
            if moving {
                looking.moving.insert(key.clone());
            }
        }
        self.looking.send_if_modified(|known| {
            let changed = *known != looking;
            *known = looking;
            changed
        });
        self.seen.send_if_modified(|known| {
            let changed = !known.iter().eq(self.live.seen.keys());
            if changed {
                *known = self.live.seen.keys().cloned().collect();
            }
            changed
        });
        self.parts.metrics.watches(self.live.watches.values().map(|kept| &kept.watch));
        self.parts.metrics.paused(&self.live.pauses);
    }
}
