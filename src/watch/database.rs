//! What a rollback leaves to people: the database. The guard runs no script of it, ever; it
//! says which are there, and who decides.

use super::Watch;
use super::words::list;
use crate::model::{Recipient, Reply, RollbackSafe};
use crate::policy::{DatabaseRule, Vars};

impl Watch {
    /// Said where old code comes back, or may. `None`: it was announced that none of the data
    /// is in the way, or nobody said what there is.
    pub(super) fn database_in_words(&self) -> Option<String> {
        let rule = &self.policy().rollback.database;
        let facts = &self.deployment.facts;
        let announced = facts.database.as_ref().and_then(|one| one.rollback_script.as_ref());
        let silent = *rule == DatabaseRule::default() && announced.is_none();
        if silent || facts.rollback_safe == RollbackSafe::Yes {
            return None;
        }
        let vars = Vars::of(&self.deployment);
        let named: Vec<String> =
            rule.scripts_of(&vars).into_iter().filter(|one| Some(one) != announced).collect();
        let mut said =
            "The database is left as it is: deployguard runs no database script.".to_owned();
        // Only what was announced is known to be there.
        if let Some(script) = announced {
            said = format!("{said} There is {script}.");
        }
        if !named.is_empty() {
            let what = if announced.is_some() { "Also look for" } else { "Look for" };
            let names = list(&named);
            said = format!("{said} {what} {names}: the policy names it, nobody announced it.");
        }
        let who = rule.decided_by.as_ref().map_or_else(
            || "Whoever owns the schema decides.".to_owned(),
            |who| format!("{} decides.", who.in_words()),
        );
        Some(format!("{said} {who}"))
    }

    /// The same as a line of a reply; whoever decides is mentioned where `calls`.
    pub(super) fn with_database(&self, mut reply: Reply, calls: bool) -> Reply {
        let Some(words) = self.database_in_words() else { return reply };
        reply.lines.push(words);
        if calls && let Some(Recipient::Slack(id)) = &self.policy().rollback.database.decided_by {
            reply.mentions.push(id.clone());
        }
        reply
    }
}
