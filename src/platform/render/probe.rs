//! Trying what guarding needs, without an effect.

use super::Render;
use crate::model::ServiceKey;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    Well(String),
    /// And what to do about it.
    Wrong(String, &'static str),
}

impl Render {
    /// Whether the key works, every group's services are found and their deploys can be
    /// read; and what can be guarded there.
    pub async fn examine(&self) -> (Vec<Tried>, Vec<ServiceKey>) {
        let services = match self.list_services().await {
            Ok(services) => services,
            Err(fault) => {
                let mend = "see targets.NAME.render: api_key, url and owner";
                return (vec![Tried::Wrong(fault.words, mend)], Vec::new());
            }
        };
        let mut tried = vec![Tried::Well(format!("the key sees {} services", services.len()))];
        let keys = self.list(&self.inner.name).await.unwrap_or_default();
        for key in self.inner.groups.keys().map(|name| self.key(name.clone())) {
            tried.push(match self.members_of(&key).await {
                Ok(Some(members)) => {
                    let names: Vec<&str> = members.iter().map(|one| one.name.as_str()).collect();
                    Tried::Well(format!("{} is {}", key.service, names.join(" and ")))
                }
                Ok(None) => Tried::Wrong(format!("{key} is not there"), "see its name"),
                Err(error) => Tried::Wrong(error.to_string(), "see render.groups"),
            });
        }
        if let Some(first) = services.iter().find(|service| service.runs()) {
            tried.push(match self.inner.api.deploys(&first.id, 1).await {
                Ok(_) => Tried::Well(format!("the deploys of {} can be read", first.name)),
                Err(fault) => {
                    Tried::Wrong(fault.words, "give the key's user a role that may read deploys")
                }
            });
        }
        (tried, keys)
    }
}
