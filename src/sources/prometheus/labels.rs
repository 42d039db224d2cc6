//! Which names and values there are: what a query that finds nothing is mended with.

use jiff::Timestamp;
use serde::Deserialize;

use super::Prometheus;
use super::decode::Fault;
use crate::model::Unusable;

/// The answer to a question for names or values.
#[derive(Deserialize)]
struct Listed {
    status: String,
    #[serde(default)]
    data: Vec<String>,
    error: Option<String>,
}

impl Prometheus {
    /// The values of a label (`__name__`: the metrics), ascending; of the series that
    /// `selector` selects, or of all. Prometheus cuts the stretch generously: what
    /// ended a while before it may be among them.
    pub async fn label_values(
        &self,
        label: &str,
        selector: Option<&str>,
        within: (Timestamp, Timestamp),
    ) -> Result<Vec<String>, Unusable> {
        self.list(&["api", "v1", "label", label, "values"], selector, within).await
    }

    /// The labels of the series that `selector` selects, ascending.
    pub async fn label_names(
        &self,
        selector: &str,
        within: (Timestamp, Timestamp),
    ) -> Result<Vec<String>, Unusable> {
        self.list(&["api", "v1", "labels"], Some(selector), within).await
    }

    async fn list(
        &self,
        path: &[&str],
        selector: Option<&str>,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<Vec<String>, Unusable> {
        let closed = |_| Unusable::Unreachable(format!("{} is no longer asked", self.name));
        let _turn = self.turns.acquire().await.map_err(closed)?;
        let mut url = self.root.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let selector = selector.map(|selector| ("match[]", selector.to_owned()));
        let times = [("start", from), ("end", to)];
        let times = times.map(|(name, at)| (name, super::seconds(at.as_millisecond())));
        let params: Vec<_> = selector.into_iter().chain(times).collect();
        let request = self.http.get(url).query(&params);
        let asked = async {
            let response = request.send().await.map_err(|error| self.broken(&error))?;
            self.answer(response).await
        };
        let (status, body) = match tokio::time::timeout(self.timeout, asked).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(Fault::Unusable(why))) => return Err(why),
            Ok(Err(Fault::TooLarge(why))) => return Err(Unusable::Refused(why)),
            Err(_) => return Err(self.too_slow()),
        };
        match serde_json::from_slice::<Listed>(&body) {
            Ok(listed) if listed.status == "success" => Ok(listed.data),
            Ok(listed) => {
                let why = listed.error.unwrap_or_else(|| "no reason given".to_owned());
                Err(Unusable::Refused(format!("Prometheus refused a question for labels: {why}")))
            }
            Err(_) => Err(Unusable::Unreachable(format!(
                "{} answered {status}, and no list of labels: is it a Prometheus?",
                self.name
            ))),
        }
    }
}
