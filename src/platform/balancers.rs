//! Which load balancer sends to a target group.

use std::collections::BTreeMap;

use aws_sdk_elasticloadbalancingv2::Client;

use crate::aws::{Account, Fault};

/// Groups that are asked about in one call.
const AT_ONCE: usize = 20;
/// Calls of one question.
const MOST_CALLS: usize = 200;

/// The load balancers of one account and region.
pub struct Balancers {
    client: Client,
}

impl Balancers {
    /// Those of this account. Nothing is sent.
    pub fn of(account: &Account) -> Self {
        Self { client: Client::new(account.config()) }
    }

    /// The load balancer of each target group, by ARNs. A group that does not exist, or that no
    /// load balancer sends to, is left out.
    pub async fn before(&self, groups: &[String]) -> Result<BTreeMap<String, String>, Fault> {
        let mut found = BTreeMap::new();
        let mut calls: Vec<&[String]> = groups.chunks(AT_ONCE).collect();
        for _ in 0..MOST_CALLS {
            let Some(call) = calls.pop() else { return Ok(found) };
            let asked = self.client.describe_target_groups();
            let sent = asked.set_target_group_arns(Some(call.to_vec())).send().await;
            match sent.map_err(|error| Fault::of("DescribeTargetGroups", &error)) {
                Ok(answer) => {
                    for one in answer.target_groups() {
                        let balancer = one.load_balancer_arns().first();
                        if let Some((group, balancer)) = one.target_group_arn().zip(balancer) {
                            found.insert(group.to_owned(), balancer.clone());
                        }
                    }
                }
                // One that is gone spoils the call for the others.
                Err(fault) if fault.is("TargetGroupNotFound") => {
                    let (left, right) = call.split_at(call.len() / 2);
                    calls.extend(
                        [left, right]
                            .into_iter()
                            .filter(|part| !part.is_empty() && part.len() < call.len()),
                    );
                }
                Err(fault) => return Err(fault),
            }
        }
        Err(Fault::odd("DescribeTargetGroups", "too many target groups are gone"))
    }
}
