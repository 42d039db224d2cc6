//! The image that the Dockerfile makes. It can't be built where the tests run: what can be
//! read off it is held.

use super::template::{DAEMON, container, read};

fn dockerfile() -> Vec<(String, String)> {
    let text = std::fs::read_to_string("Dockerfile").unwrap();
    let lines: Vec<&str> =
        text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let whole = lines.join("\n").replace("\\\n", " ");
    let parted = whole.lines().filter_map(|line| line.trim().split_once(char::is_whitespace));
    parted.map(|(word, rest)| (word.to_owned(), rest.trim().to_owned())).collect()
}

/// The last of an instruction, and so that of the image.
fn last(instruction: &str) -> String {
    let all = dockerfile().into_iter().filter(|(word, _)| word == instruction);
    all.map(|(_, rest)| rest).next_back().unwrap_or_else(|| panic!("no {instruction}"))
}

fn list(instruction: &str) -> Vec<String> {
    serde_json::from_str(&last(instruction)).unwrap()
}

#[test]
fn nobody_in_the_task_is_root_but_who_hands_over_the_volume() {
    let user = last("USER");
    assert!(!user.starts_with('0') && user.starts_with(char::is_numeric), "{user}");
    for name in ["policies", "deployguard"] {
        let one = container(name);
        assert_eq!(one["User"].as_str(), Some(user.as_str()), "{name}");
        let dropped = &one["LinuxParameters"]["Capabilities"]["Drop"];
        assert_eq!(dropped[0].as_str(), Some("ALL"), "{name}");
    }
    let prepare = container("prepare");
    let chown = serde_norway::to_string(&prepare["Command"]).unwrap();
    assert_eq!(chown, format!("- chown\n- {user}\n- /etc/deployguard\n"));
    assert_eq!(prepare["Essential"].as_bool(), Some(false));
}

#[test]
fn no_container_writes_to_its_image() {
    for name in ["prepare", "policies", "deployguard"] {
        assert_eq!(container(name)["ReadonlyRootFilesystem"].as_bool(), Some(true), "{name}");
    }
    let mount = &container("deployguard")["MountPoints"][0];
    assert_eq!(mount["ReadOnly"].as_bool(), Some(true), "settings and policies are read only");
}

#[test]
fn the_image_runs_the_binary_that_was_built_with_the_settings_that_are_written() {
    let copied = dockerfile().into_iter().filter(|(word, rest)| {
        word == "COPY"
            && rest.contains("--from=build")
            && rest.contains("target/release/deployguard")
    });
    let places: Vec<String> =
        copied.map(|(_, rest)| rest.split_whitespace().last().unwrap().to_owned()).collect();
    assert_eq!(list("ENTRYPOINT"), places);
    assert_eq!(list("CMD"), ["serve", "--config", "/etc/deployguard/deployguard.yaml"]);
    let mount = &container("policies")["MountPoints"][0]["ContainerPath"];
    assert_eq!(mount.as_str(), Some("/etc/deployguard"));
}

#[test]
fn the_authorities_that_the_store_is_checked_by_are_in_the_image() {
    let text = std::fs::read_to_string(DAEMON).unwrap();
    let (_, rest) = text.split_once("sslmode=verify-full&sslrootcert=").unwrap();
    let path = rest.lines().next().unwrap().trim();
    let copied =
        dockerfile().into_iter().any(|(word, rest)| word == "COPY" && rest.ends_with(path));
    assert!(copied, "{path}");
}

#[test]
fn base_images_have_a_version_and_rust_is_the_one_of_the_manifest() {
    let manifest = std::fs::read_to_string("Cargo.toml").unwrap();
    let (_, rest) = manifest.split_once("rust-version = \"").unwrap();
    let wanted = format!("rust:{}-", rest.split('"').next().unwrap());
    let bases: Vec<String> = dockerfile()
        .into_iter()
        .filter(|(word, _)| word == "FROM")
        .map(|(_, rest)| rest.split_whitespace().next().unwrap().to_owned())
        .collect();
    assert_eq!(bases.len(), 2, "{bases:?}");
    for base in &bases {
        let name = base.rsplit('/').next().unwrap();
        let tag = name.split_once(':').map(|(_, tag)| tag);
        assert!(tag.is_some_and(|tag| tag != "latest"), "{base}");
    }
    assert!(bases[0].starts_with(&wanted), "{} is not {wanted}", bases[0]);
    let git = &read(DAEMON)["Parameters"]["GitImage"]["Default"];
    assert!(git.as_str().is_some_and(|git| git.rsplit('/').next().unwrap().contains(':')));
}

#[test]
fn what_the_dockerfile_copies_is_not_ignored() {
    let ignored = std::fs::read_to_string(".dockerignore").unwrap();
    let let_in: Vec<&str> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    assert!(ignored.lines().any(|line| line == "*"), "everything else stays out");
    let copied =
        dockerfile().into_iter().filter(|(word, rest)| word == "COPY" && !rest.starts_with("--"));
    for (_, rest) in copied {
        let mut words: Vec<&str> = rest.split_whitespace().collect();
        words.pop();
        for word in words {
            assert!(let_in.contains(&word), "{word} is not in .dockerignore");
            assert!(std::path::Path::new(word).exists(), "{word} is not there");
        }
    }
}
