//! What a policy means by the name of a service: written as kubectl writes resources.

/// What is guarded, by its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Named<'a> {
    /// `NAME`: a Deployment and its roll-outs.
    Deployment(&'a str),
    /// `service/NAME`: a Service whose selector is switched between Deployments.
    Service(&'a str),
    /// `ingress/NAME`: an Ingress with a canary beside it.
    Ingress(&'a str),
    /// `httproute/NAME`: a route of the Gateway API with weights.
    Route(&'a str),
}

impl<'a> Named<'a> {
    /// # Errors
    /// A kind that is not guarded, in words.
    pub(super) fn read(service: &'a str) -> Result<Self, String> {
        match service.split_once('/') {
            None => Ok(Self::Deployment(service)),
            Some(("deployment", name)) => {
                Err(format!("`{service}`: a Deployment is written without its kind: `{name}`"))
            }
            Some(("service", name)) => Ok(Self::Service(name)),
            Some(("ingress", name)) => Ok(Self::Ingress(name)),
            Some(("httproute", name)) => Ok(Self::Route(name)),
            Some((kind, _)) => Err(format!(
                "`{service}`: `{kind}` is not guarded: write the name of a Deployment, \
                 `service/NAME`, `ingress/NAME` or `httproute/NAME`"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_is_guarded_and_a_wrong_kind_says_what_is_right() {
        assert_eq!(Named::read("api"), Ok(Named::Deployment("api")));
        assert_eq!(Named::read("service/api"), Ok(Named::Service("api")));
        assert_eq!(Named::read("ingress/api"), Ok(Named::Ingress("api")));
        assert_eq!(Named::read("httproute/api"), Ok(Named::Route("api")));
        assert!(Named::read("deployment/api").unwrap_err().contains("`api`"));
        assert!(Named::read("pod/api").unwrap_err().contains("service/NAME"));
    }
}
