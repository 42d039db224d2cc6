//! The store as the keeper of heartbeats.

use std::pin::Pin;
use std::sync::Arc;

use crate::model::{Beat, Listened};
use crate::sources::{Beats, Keeper};
use crate::store::Store;

struct Kept(Store);

/// What this store keeps.
pub(super) fn of(store: &Store) -> Beats {
    Beats::kept_by(Arc::new(Kept(store.clone())))
}

impl Keeper for Kept {
    fn newest<'a>(
        &'a self,
        job: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<Beat>, String>> + Send + 'a>> {
        Box::pin(async move { self.0.beats(job).await.map_err(|error| error.to_string()) })
    }

    fn listened<'a>(
        &'a self,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<Listened>, String>> + Send + 'a>> {
        Box::pin(async move { self.0.listened().await.map_err(|error| error.to_string()) })
    }
}
