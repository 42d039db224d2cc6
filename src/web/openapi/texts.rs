//! Texts that are bounded beyond their type, as they are checked.

use std::borrow::Cow;

use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema};
use utoipa::openapi::{RefOr, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::model::Command;
use crate::web::hook::{LABEL_LIMIT, TEXT_LIMIT};

/// Of an address with a watch in it.
pub const WATCH: &str = "The watch; or the deployment, by the id that it was announced with.";
/// Of a body that is no more than a few words more.
pub const MAY_BE_LEFT_OUT: &str = "May be left out.";

/// At most [`TEXT_LIMIT`] characters, none of them control characters.
pub enum Text {}
/// The same, and not blank.
pub enum Name {}
/// A cluster or service of ECS.
pub enum EcsName {}
/// An object of Kubernetes.
pub enum KubernetesName {}
/// A scheduled job.
pub enum Job {}
/// A length of time as people write it.
pub enum Length {}
/// What a pause stops.
pub enum ScopeText {}
/// Whether a deployment may be undone.
pub enum Safe {}
/// What a person tells a watch at the address of all of it but one.
pub enum Pressed {}
/// What Slack posts.
pub enum SlackForm {}
/// The bytes of a picture.
pub enum Picture {}
/// Labels of a deployment.
pub enum Labels {}

fn text(words: &str, pattern: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(words))
        .pattern(Some(pattern))
        .max_length(Some(TEXT_LIMIT))
}

macro_rules! texts {
    ($($kind:ident: $schema:expr;)*) => { $(
        impl PartialSchema for $kind {
            fn schema() -> RefOr<Schema> {
                RefOr::T($schema.into())
            }
        }

        impl ToSchema for $kind {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($kind))
            }
        }
    )* };
}

texts! {
    Text: text(
        "No control characters.",
        r"^[^\u0000-\u001f\u007f-\u009f]*$",
    );
    Name: text(
        "Not blank, and no control characters.",
        r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$",
    );
    EcsName: text("As ECS names clusters and services.", "^[A-Za-z0-9_-]+$").max_length(Some(255));
    KubernetesName: text(
        "As Kubernetes names objects (RFC 1123).",
        "^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$",
    ).max_length(Some(253));
    Job: text("The job's name.", "^[A-Za-z0-9_.-]+$").max_length(Some(100));
    Length: text(
        "More than nothing, such as `30m` or `1h 30m`.",
        "^[1-9][0-9]{0,3}([smh]|h [1-9][0-9]?m)$",
    ).examples(["30m"]);
    ScopeText: text(
        "`all`, `environment:NAME`, or a pattern `CLUSTER/SERVICE` (in any target) or \
         `TARGET/CLUSTER/SERVICE`.",
        r"^(all|environment:[^\u0000-\u001f\u007f-\u009f]+|[^/\u0000-\u001f\u007f-\u009f]+(/[^/\u0000-\u001f\u007f-\u009f]+){1,2})$",
    ).examples(["production/shopflow-api"]);
    Safe: OneOfBuilder::new()
        .description(Some(
            "Whether putting the old code back undoes it; `false`: an irreversible change came \
             with it (a migration).",
        ))
        .item(ObjectBuilder::new().schema_type(Type::Boolean))
        .item(ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["unknown"])));
    Picture: ObjectBuilder::new().schema_type(Type::String).content_media_type("image/png");
    Pressed: ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(Command::ALL.map(Command::as_str).into_iter().filter(|name| {
            // It has an address of its own.
            *name != Command::Rollback.as_str()
        })));
    SlackForm: ObjectBuilder::new()
        .schema_type(Type::Object)
        .property(
            "payload",
            ObjectBuilder::new()
                .schema_type(Type::String)
                .description(Some("The interaction, as JSON.")),
        )
        .required("payload");
    Labels: ObjectBuilder::new()
        .description(Some("Usable in queries as `${labels.NAME}`."))
        .property_names(Some(Text::schema()))
        .additional_properties(Some(Text::schema()))
        .max_properties(Some(LABEL_LIMIT));
}
