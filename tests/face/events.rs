//! Deployments that are heard of by EventBridge's events, on a daemon whose own round of
//! looks is an hour long.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::ensure;
use serde_json::{Value, json};

use crate::house::{LONG, cli};
use crate::post::{MOST, Post, QUEUE};
use crate::world::aws::Fault;
use crate::world::aws::sns::{TOPIC, confirmation, notification};
use crate::world::daemon::{OPS_TOKEN, STORY, announcement};
use crate::world::now;

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_is_found_by_its_event_alone_and_its_rollback_is_not_a_deployment()
-> anyhow::Result<()> {
    let policy = STORY.replace("cooldown: 1h", "cooldown: 1h, unannounced: rollback");
    let post = Post::open(&policy).await?;
    // Each event twice, as SQS may.
    post.world.ecs.send_events(2);
    let id = post.world.deploy("v2", &[("ERROR_RATE", "0.4")])?;
    post.watched(&id).await?;
    let ended = post
        .until("the rollback", async |post| {
            let watches = post.daemon.watches().await?;
            Ok(watches.into_iter().find(|watch| !watch["outcome"].is_null()))
        })
        .await?;
    assert_eq!(ended["outcome"], "rolled_back", "{ended:#}");
    post.world.wait_stable().await;
    // What the events of the rollback say comes too, and begins nothing.
    let back = post.world.ecs.primary_id("shopflow-api").unwrap();
    assert_ne!(back, id);
    post.begun(&back).await?;
    post.emptied().await?;
    assert_eq!(post.daemon.watches().await?.len(), 1, "its own rollback is not guarded");
    assert_eq!(post.world.mutations_by_client().len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn hook_queue_and_topic_in_every_order_repeated_or_lost_are_one_watch() -> anyhow::Result<()>
{
    let post = Post::open(STORY).await?;
    post.world.ecs.send_events(0);
    let orders = [
        "hook queue topic",
        "hook topic queue",
        "queue hook topic",
        "queue topic hook",
        "topic hook queue",
        "topic queue hook",
        "queue queue hook queue",
        "topic topic hook topic",
        "queue",
        "topic",
        "hook",
    ];
    for (number, order) in orders.into_iter().enumerate() {
        let version = format!("v{}", number + 2);
        let id = post.world.deploy(&version, &[])?;
        let event = post.begun(&id).await?.to_string();
        let mut announced = announcement(&version, &post.world.task_definition_in_place());
        announced["rollback_safe"] = json!(true);
        for way in order.split(' ') {
            match way {
                "hook" => {
                    let (status, said) = post.daemon.announce(&announced).await?;
                    ensure!(status == 202, "{order}: {said}");
                }
                "queue" => {
                    post.send(&event);
                    post.emptied().await?;
                }
                _ => {
                    let (status, said) = post.post_sns(&notification(&event, now())).await?;
                    ensure!(status == 200, "{order}: {said}");
                }
            }
        }
        let watch = post.watched(&id).await?;
        let open: Vec<Value> = post.daemon.watches().await?;
        let open: Vec<_> = open.iter().filter(|watch| watch["outcome"].is_null()).collect();
        ensure!(open.len() == 1, "{order}: {open:#?}");
        let hooked = order.contains("hook");
        ensure!((watch["version"] == version.as_str()) == hooked, "{order}: {watch:#}");
    }
    let all = post.daemon.watches().await?;
    assert_eq!(all.len(), orders.len(), "one watch a deployment: {all:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_with_a_message_in_hand_it_watches_the_deployment_once() -> anyhow::Result<()> {
    let mut post = Post::open(STORY).await?;
    for (number, point) in ["hint-received", "hint-kept"].into_iter().enumerate() {
        post.daemon.terminate().await?;
        let id = post.world.deploy(&format!("v{}", number + 2), &[])?;
        // The first look after a start sees everything: the event has to come later.
        post.world.wait_stable().await;
        post.start(point).await?;
        let deadline = tokio::time::Instant::now() + LONG;
        while !post.daemon.has_died() {
            ensure!(tokio::time::Instant::now() < deadline, "it never came to {point}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        post.daemon.kill();
        assert!(!post.world.ecs.queued(QUEUE).is_empty(), "{point}: nothing was deleted");
        post.world.ecs.time_out_messages();
        post.start("").await?;
        post.watched(&id).await?;
        post.emptied().await?;
        assert_eq!(post.daemon.watches().await?.len(), number + 1, "{point}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_is_a_few_looks_and_what_nothing_guards_is_none() -> anyhow::Result<()> {
    let post = Post::open(STORY).await?;
    post.world.wait_stable().await;
    post.emptied().await?;
    let event = |service: &str| {
        let arn =
            format!("arn:aws:ecs:us-east-1:123456789012:service/shopflow-production/{service}");
        let detail = json!({ "eventName": "SERVICE_STEADY_STATE" });
        let kind = "ECS Service Action";
        json!({ "source": "aws.ecs", "detail-type": kind, "resources": [arn], "detail": detail })
            .to_string()
    };
    let before = post.looks_at("shopflow-api");
    for _ in 0..500 {
        post.send(&event("shopflow-api"));
        post.send(&event("billing"));
    }
    post.send("{\"source\":\"aws.s3\",\"detail-type\":\"Object Created\"}");
    post.emptied().await?;
    let looks = post.looks_at("shopflow-api") - before;
    println!("500 events are {looks} looks");
    assert!((1..=5).contains(&looks), "500 events are {looks} looks");
    assert_eq!(post.looks_at("billing"), 0);
    assert_eq!(post.counted("sqs", "unguarded").await?, 500);
    assert_eq!(post.counted("sqs", "not_ours").await?, 1);
    assert_eq!(post.daemon.watches().await?.len(), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_goes_to_the_dead_letters_and_holds_nothing_up() -> anyhow::Result<()> {
    let post = Post::open(STORY).await?;
    post.emptied().await?;
    post.send("no event at all");
    let id = post.world.deploy("v2", &[])?;
    post.watched(&id).await?;
    post.until("only the poison is left", async |post| {
        Ok((post.world.ecs.queued(QUEUE) == ["no event at all"]).then_some(()))
    })
    .await?;
    for delivery in 2..=MOST {
        post.world.ecs.time_out_messages();
        post.until("another delivery", async |post| {
            Ok((post.counted("sqs", "unreadable").await? == delivery).then_some(()))
        })
        .await?;
    }
    post.world.ecs.time_out_messages();
    post.until("a dead letter", async |post| {
        let dead = post.world.ecs.queued(&format!("{QUEUE}-dead"));
        Ok((dead == ["no event at all"]).then_some(()))
    })
    .await?;
    assert!(post.world.ecs.queued(QUEUE).is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_that_no_redrive_policy_takes_away_is_deleted_at_its_tenth_delivery()
-> anyhow::Result<()> {
    let post = Post::with_dead_letters_after(1000, STORY).await?;
    post.emptied().await?;
    post.send("no event at all");
    for delivery in 1..=10 {
        post.until("a delivery", async |post| {
            Ok((post.counted("sqs", "unreadable").await? == delivery).then_some(()))
        })
        .await?;
        if delivery < 10 {
            assert_eq!(post.world.ecs.queued(QUEUE).len(), 1, "it is left at first");
        }
        post.world.ecs.time_out_messages();
    }
    post.emptied().await?;
    assert!(post.daemon.logs().contains("give the queue a redrive policy"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policies_say_where_to_look_and_what_they_leave_out_is_shown() -> anyhow::Result<()> {
    let policy = STORY.replace("cluster: shopflow-production", "cluster: \"shopflow-*\"");
    assert_ne!(policy, STORY);
    let mut post = Post::open(&policy).await?;
    let service = json!({ "cluster": "shopflow-production", "serviceName": "billing",
        "taskDefinition": "shopflow-api:1", "desiredCount": 0 });
    post.world.ecs.call("CreateService", &service).expect("a service");
    post.world.ecs.call("CreateCluster", &json!({ "clusterName": "elsewhere" })).expect("made");
    post.daemon.terminate().await?;
    post.start("").await?;
    let listed = post
        .until("what nothing guards", async |post| {
            let said = cli(post.daemon.url(), OPS_TOKEN, &["watches"]).await?;
            Ok(said.out.contains("not guarded").then_some(said.out))
        })
        .await?;
    let unguarded = "deployed and not guarded:\ndefault/shopflow-production/billing\n";
    assert!(listed.ends_with(unguarded), "{listed}");
    let calls = post.world.ecs.calls();
    let listings = calls.iter().filter(|call| call.operation == "ListServices");
    let clusters: BTreeSet<_> = listings.map(|call| call.body["cluster"].to_string()).collect();
    assert_eq!(clusters, ["\"shopflow-production\"".to_owned()].into());
    let ready = post.daemon.get("/readyz").await?;
    assert_eq!(ready["detail"]["unseen"], json!([]), "{ready:#}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_look_keeps_the_message_and_a_stop_gives_it_back() -> anyhow::Result<()> {
    let mut post = Post::open(STORY).await?;
    post.emptied().await?;
    post.world.ecs.fault("DescribeServices", &Fault::Html(403), 1);
    let event = json!({ "source": "aws.ecs", "detail-type": "ECS Service Action", "resources":
        ["arn:aws:ecs:us-east-1:123456789012:service/shopflow-production/shopflow-api"] });
    post.send(&event.to_string());
    post.until("a failed look", async |post| {
        Ok((post.counted("sqs", "failed").await? == 1).then_some(()))
    })
    .await?;
    assert_eq!(post.world.ecs.queued(QUEUE).len(), 1, "it comes again");
    post.world.ecs.time_out_messages();
    post.emptied().await?;

    post.world.ecs.fault("DescribeServices", &Fault::Hang(Duration::from_secs(8)), 9);
    let before = post.looks_at("shopflow-api");
    post.send(&event.to_string());
    post.until("a look that hangs", async |post| {
        Ok((post.looks_at("shopflow-api") > before).then_some(()))
    })
    .await?;
    let begun = tokio::time::Instant::now();
    post.daemon.terminate().await?;
    let took = begun.elapsed();
    println!("stopped within {took:?}");
    assert!(took < Duration::from_secs(6), "it waits for no look: {took:?}");
    let calls = post.world.ecs.calls();
    let back = calls.iter().find(|call| call.operation == "ChangeMessageVisibilityBatch");
    let back = back.expect("given back at once");
    assert_eq!(back.body["Entries"][0]["VisibilityTimeout"], 0);
    assert_eq!(post.world.ecs.queued(QUEUE).len(), 1, "nothing is lost");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_cannot_be_read_is_told_and_read_again() -> anyhow::Result<()> {
    let post = Post::open(STORY).await?;
    post.emptied().await?;
    // The poll that is open already ends with this message; those after it fail.
    post.world.ecs.fault("ReceiveMessage", &Fault::Html(403), 6);
    post.send("{\"source\":\"aws.s3\",\"detail-type\":\"Object Created\"}");
    post.until("an obstacle", async |post| {
        let ready = post.daemon.get("/readyz").await?;
        let told = ready["obstacles"].to_string().contains("the queue deployguard-events");
        Ok((told && ready["ready"] == true).then_some(()))
    })
    .await?;
    post.world.ecs.clear_faults();
    post.until("no obstacle", async |post| {
        let ready = post.daemon.get("/readyz").await?;
        Ok((!ready["obstacles"].to_string().contains("the queue")).then_some(()))
    })
    .await?;
    let id = post.world.deploy("v2", &[])?;
    post.watched(&id).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sns_is_answered_once_the_deployment_is_kept_and_asked_to_come_again_otherwise()
-> anyhow::Result<()> {
    let post = Post::open(STORY).await?;
    post.world.ecs.send_events(0);
    let (status, said) = post.post_sns(&confirmation(now())).await?;
    assert_eq!((status, &said["confirmed"]), (200, &json!(TOPIC)), "{said}");
    assert!(post.sns.asked().iter().any(|asked| asked.contains("ConfirmSubscription")));

    let id = post.world.deploy("v2", &[])?;
    let message = notification(&post.begun(&id).await?.to_string(), now());
    post.world.ecs.fault("DescribeServices", &Fault::Html(403), 1);
    let (status, said) = post.post_sns(&message).await?;
    assert_eq!(status, 503, "{said}");
    let (status, said) = post.post_sns(&message).await?;
    assert_eq!((status, &said["taken"]), (200, &json!("looked")), "{said}");
    assert_eq!(post.daemon.watches().await?.len(), 1, "there already, with the answer");
    let (status, _) = post.post_sns(&message).await?;
    assert_eq!(status, 200, "again is harmless");
    assert_eq!(post.daemon.watches().await?.len(), 1);

    let mut forged = message.clone();
    forged["Message"] = json!("{}");
    let (status, said) = post.post_sns(&forged).await?;
    assert_eq!(status, 403, "{said}");
    assert_eq!(post.counted("sns", "refused").await?, 1);
    Ok(())
}
