//! Which of the targets an event of AWS is about, and which targets there are.

use super::hints::Wanted;
use crate::model::ServiceKey;
use crate::triggers::Hint;

/// The accounts and regions whose events are ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    pub targets: Vec<PlaceOf>,
    /// Targets that no event of AWS is about.
    pub elsewhere: Vec<String>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceOf {
    pub target: String,
    /// `None`: not known, and every region's events are taken for ours.
    pub region: Option<String>,
    /// `None`: not known, and every account's events are taken for ours.
    pub account: Option<String>,
}

impl Place {
    /// The service that a hint is about; `None`: it is elsewhere. Of several targets that it
    /// may be in, the one of which most is known.
    pub fn of(&self, hint: Hint) -> Option<Wanted> {
        let fits = |known: Option<&String>, said: &String| known.is_none_or(|own| own == said);
        let ours = self.targets.iter().filter(|one| {
            fits(one.region.as_ref(), &hint.region) && fits(one.account.as_ref(), &hint.account)
        });
        let known = |one: &&PlaceOf| (one.account.is_some(), one.region.is_some());
        let target = ours.max_by_key(known)?.target.clone();
        let Hint { cluster, service, begun, .. } = hint;
        Some(Wanted { key: ServiceKey { target, cluster, service }, begun })
    }

    /// The names of the targets.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let elsewhere = self.elsewhere.iter().map(String::as_str);
        self.targets.iter().map(|one| one.target.as_str()).chain(elsewhere)
    }

    /// Of one target alone.
    #[must_use]
    pub fn only(&self, target: &str) -> Self {
        let targets = self.targets.iter().filter(|one| one.target == target);
        Self { targets: targets.cloned().collect(), elsewhere: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(targets: &[(&str, &str, &str)]) -> Place {
        let known = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let targets = targets.iter().map(|(target, region, account)| PlaceOf {
            target: (*target).to_owned(),
            region: known(region),
            account: known(account),
        });
        Place { targets: targets.collect(), elsewhere: Vec::new() }
    }

    fn found(place: &Place, region: &str, account: &str) -> Option<String> {
        let (region, account) = (region.to_owned(), account.to_owned());
        let (cluster, service) = ("shop".to_owned(), "api".to_owned());
        let hint = Hint { region, account, cluster, service, begun: None };
        place.of(hint).map(|wanted| wanted.key.target)
    }

    #[test]
    fn an_event_belongs_to_the_target_of_its_region_and_account() {
        let both = place(&[("own", "eu", ""), ("us", "us", "1"), ("eu", "eu", "1")]);
        assert_eq!(found(&both, "eu", "1").as_deref(), Some("eu"), "the one that names it");
        assert_eq!(found(&both, "us", "1").as_deref(), Some("us"));
        assert_eq!(found(&both, "eu", "2").as_deref(), Some("own"), "its account is not known");
        assert_eq!(found(&both, "us", "2"), None);
        assert_eq!(found(&both.only("us"), "eu", "1"), None);
        assert_eq!(found(&place(&[("all", "", "")]), "ap", "9").as_deref(), Some("all"));
    }
}
