//! What Render knows.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::OWNER;

#[derive(Default)]
pub(super) struct Book {
    pub(super) services: Vec<Service>,
    pub(super) failures: BTreeMap<String, (&'static str, usize)>,
    pub(super) calls: Vec<String>,
    made: u32,
}

pub(super) struct Service {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) auto_deploy: bool,
    kind: String,
    build: String,
    /// Oldest first.
    pub(super) deploys: Vec<Deploy>,
}

pub(super) struct Deploy {
    pub(super) id: String,
    pub(super) commit: String,
    pub(super) message: String,
    pub(super) status: &'static str,
    trigger: String,
    created: Timestamp,
    finished: Option<Timestamp>,
}

const OVER: [&str; 6] =
    ["live", "deactivated", "build_failed", "update_failed", "pre_deploy_failed", "canceled"];

impl Book {
    pub(super) fn add(&mut self, name: &str, kind: &str, build: &str) -> String {
        let id = format!("srv-{:020}", self.services.len() + 1);
        self.services.push(Service {
            id: id.clone(),
            name: name.to_owned(),
            auto_deploy: true,
            kind: kind.to_owned(),
            build: build.to_owned(),
            deploys: Vec::new(),
        });
        id
    }

    pub(super) fn auto_deploying(&self) -> Vec<String> {
        let on = self.services.iter().filter(|service| service.auto_deploy);
        on.map(|service| service.name.clone()).collect()
    }

    pub(super) fn id_of(&self, name: &str) -> String {
        let found = self.services.iter().find(|service| service.name == name);
        found.expect("there is such a service").id.clone()
    }

    pub(super) fn by_id(&mut self, id: &str) -> Option<&mut Service> {
        self.services.iter_mut().find(|service| service.id == id)
    }

    pub(super) fn live(&self, name: &str) -> Option<char> {
        let service = self.services.iter().find(|service| service.name == name)?;
        let live = service.deploys.iter().find(|deploy| deploy.status == "live")?;
        live.commit.chars().next()
    }

    /// The new deploy, and how it is going to end. What was under way is canceled, as
    /// Render's default has it.
    pub(super) fn begin(
        &mut self,
        service: &str,
        commit: &str,
        message: &str,
        trigger: &str,
        now: Timestamp,
    ) -> (String, &'static str) {
        self.made += 1;
        let id = format!("dep-{:020}", self.made);
        let service = self.services.iter_mut().find(|one| one.id == service).expect("it is there");
        for deploy in service.deploys.iter_mut().filter(|one| !OVER.contains(&one.status)) {
            (deploy.status, deploy.finished) = ("canceled", Some(now));
        }
        // No two at the same time.
        let after = service
            .deploys
            .last()
            .map_or(now, |last| now.max(last.created + jiff::SignedDuration::from_micros(1)));
        service.deploys.push(Deploy {
            id: id.clone(),
            commit: commit.to_owned(),
            message: message.to_owned(),
            status: "created",
            trigger: trigger.to_owned(),
            created: after,
            finished: None,
        });
        let ends = match self.failures.get_mut(&service.name) {
            Some((status, times)) if *times > 0 => {
                *times -= 1;
                *status
            }
            Some(_) | None => "live",
        };
        (id, ends)
    }

    /// The next status of a deploy, in words; `None`: it is over.
    pub(super) fn turn(
        &mut self,
        service: &str,
        deploy: &str,
        status: &'static str,
    ) -> Option<String> {
        let service = self.by_id(service)?;
        let one = service.deploys.iter_mut().find(|one| one.id == deploy)?;
        if OVER.contains(&one.status) {
            return None;
        }
        one.status = status;
        let told = format!("Render: {} {status} with {}", service.name, &one.commit[..7]);
        if OVER.contains(&status) {
            one.finished = Some(super::now());
        }
        if status == "live" {
            let others = service.deploys.iter_mut().filter(|one| one.id != deploy);
            others.filter(|one| one.status == "live").for_each(|one| one.status = "deactivated");
        }
        Some(told)
    }
}

impl Service {
    pub(super) fn shown(&self) -> Value {
        json!({
            "id": self.id, "name": self.name, "slug": self.name, "type": self.kind,
            "ownerId": OWNER, "autoDeploy": if self.auto_deploy { "yes" } else { "no" },
            "autoDeployTrigger": if self.auto_deploy { "commit" } else { "off" },
            "branch": "main", "repo": "https://github.com/example/taskforge", "rootDir": "",
            "notifyOnFail": "default", "suspended": "not_suspended", "suspenders": [],
            "createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-01T00:00:00Z",
            "dashboardUrl": format!("https://dashboard.render.com/web/{}", self.id),
            "serviceDetails": {
                "runtime": "python", "env": "python", "plan": "starter", "region": "oregon",
                "numInstances": 1,
                "envSpecificDetails": { "buildCommand": self.build, "startCommand": "run" },
            },
        })
    }
}

impl Deploy {
    pub(super) fn shown(&self) -> Value {
        let created = self.created.to_string();
        json!({
            "id": self.id, "status": self.status, "trigger": self.trigger,
            "commit": { "id": self.commit, "message": self.message, "createdAt": created },
            "createdAt": created, "startedAt": created, "updatedAt": created,
            "finishedAt": self.finished.map(|at| at.to_string()),
        })
    }

    pub(super) fn was_live(&self) -> bool {
        matches!(self.status, "live" | "deactivated")
    }
}
