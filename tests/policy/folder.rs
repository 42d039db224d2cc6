//! The policy folder on a real disk, in a real git repository.

use std::path::Path;
use std::time::Duration;

use deployguard::policy_repo::{PolicyRepo, Reload};
use git2::{Repository, Signature};
use tempfile::TempDir;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

const BASE: &str = include_str!("good_base.yaml");

/// Longer than the change is waited out, shorter than the backstop.
const SOON: Duration = Duration::from_secs(10);
const QUIET: Duration = Duration::from_millis(1500);

pub fn commit(folder: &Path) -> String {
    let repository = Repository::open(folder).or_else(|_| Repository::init(folder)).unwrap();
    let mut index = repository.index().unwrap();
    index.add_all(["*"], git2::IndexAddOption::DEFAULT, None).unwrap();
    index.update_all(["*"], None).unwrap();
    index.write().unwrap();
    let tree = repository.find_tree(index.write_tree().unwrap()).unwrap();
    let author = Signature::new("t", "t@example.com", &git2::Time::new(0, 0)).unwrap();
    let parent = repository.head().ok().map(|head| head.peel_to_commit().unwrap());
    let parents: Vec<_> = parent.iter().collect();
    repository.commit(Some("HEAD"), &author, &author, "m", &tree, &parents).unwrap().to_string()
}

/// A repository with a clean policy in `policies/`.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("policies/team")).unwrap();
    std::fs::write(folder.path().join("policies/team/shop.yaml"), BASE).unwrap();
    commit(folder.path());
    folder
}

fn repo(folder: &TempDir) -> PolicyRepo {
    PolicyRepo::open(folder.path().join("policies"))
}

async fn next(reloads: &mut Receiver<Reload>) -> Reload {
    timeout(SOON, reloads.recv()).await.expect("a reload in time").expect("still watching")
}

#[test]
fn a_folder_knows_its_commit_and_whether_its_policies_are_the_commits() {
    let folder = folder();
    let dirty = || repo(&folder).load().unwrap().dirty;
    let head = commit(folder.path());
    assert_eq!(repo(&folder).load().unwrap().commit, Some(head));
    assert!(!dirty());

    std::fs::write(folder.path().join("README"), "not a policy").unwrap();
    std::fs::write(folder.path().join("policies/notes.txt"), "not a policy").unwrap();
    assert!(!dirty(), "other files make no policy dirty");

    let file = folder.path().join("policies/team/shop.yaml");
    std::fs::write(&file, BASE.replace("> 1%", "> 2%")).unwrap();
    assert!(dirty(), "an edited policy");
    std::fs::write(&file, BASE).unwrap();
    assert!(!dirty());

    let second = BASE.replace("policy: shop", "policy: b").replace("service: api", "service: b");
    let untracked = folder.path().join("policies/b.yaml");
    std::fs::write(&untracked, second).unwrap();
    assert!(dirty(), "an untracked policy");
    commit(folder.path());
    assert!(!dirty());
    std::fs::remove_file(&untracked).unwrap();
    assert!(dirty(), "a deleted policy");
}

#[test]
fn a_folder_outside_git_has_no_commit_and_is_never_clean() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x.yml"), BASE).unwrap();
    let loaded = PolicyRepo::open(folder.path()).load().unwrap();
    assert_eq!((loaded.set.len(), loaded.commit, loaded.dirty), (1, None, true));
}

#[tokio::test]
async fn an_edit_is_seen_whichever_way_it_is_written() {
    let folder = folder();
    let loaded = repo(&folder).load().unwrap();
    let mut reloads = repo(&folder).watch(Some(&loaded));
    tokio::time::sleep(Duration::from_millis(200)).await;
    let file = folder.path().join("policies/team/shop.yaml");

    std::fs::write(&file, BASE.replace("> 1%", "> 2%")).unwrap();
    let Reload::Good(first) = next(&mut reloads).await else { panic!("a good edit") };
    assert!(first.dirty);
    assert_ne!(first.set.named("shop").unwrap().digest, loaded.set.named("shop").unwrap().digest);

    let aside = folder.path().join("policies/team/.shop.yaml.swp");
    std::fs::write(&aside, BASE.replace("> 1%", "> 3%")).unwrap();
    std::fs::rename(&aside, &file).unwrap();
    let Reload::Good(second) = next(&mut reloads).await else { panic!("an atomic rename") };
    assert!(second.set.named("shop").unwrap().text.contains("> 3%"));

    let new = folder.path().join("policies/new");
    std::fs::create_dir(&new).unwrap();
    let other = BASE.replace("policy: shop", "policy: b").replace("service: api", "service: b");
    std::fs::write(new.join("b.yaml"), other).unwrap();
    let Reload::Good(third) = next(&mut reloads).await else { panic!("a new folder") };
    assert_eq!(third.set.len(), 2);
}

#[tokio::test]
async fn a_broken_edit_is_told_once_and_its_mending_too() {
    let folder = folder();
    let loaded = repo(&folder).load().unwrap();
    let mut reloads = repo(&folder).watch(Some(&loaded));
    tokio::time::sleep(Duration::from_millis(200)).await;
    let file = folder.path().join("policies/team/shop.yaml");

    std::fs::write(&file, BASE.replace("mode", "mdoe").replace("breach", "braech")).unwrap();
    let Reload::Broken(mistakes) = next(&mut reloads).await else { panic!("a broken edit") };
    assert_eq!(mistakes.len(), 3);
    std::fs::write(folder.path().join("policies/notes.txt"), "unrelated").unwrap();
    assert!(timeout(QUIET, reloads.recv()).await.is_err(), "the same mistakes are told once");
    std::fs::write(&file, BASE).unwrap();
    assert!(matches!(next(&mut reloads).await, Reload::Good(_)), "back to what it was is news");
}

#[tokio::test]
async fn what_changes_nothing_is_not_told() {
    let folder = folder();
    let loaded = repo(&folder).load().unwrap();
    let mut reloads = repo(&folder).watch(Some(&loaded));
    tokio::time::sleep(Duration::from_millis(200)).await;
    let file = folder.path().join("policies/team/shop.yaml");
    std::fs::write(&file, BASE).unwrap();
    std::fs::write(folder.path().join("policies/.hidden.yaml"), "x").unwrap();
    assert!(timeout(QUIET, reloads.recv()).await.is_err());
}

#[tokio::test]
async fn a_watch_that_begins_with_a_broken_folder_says_so_and_sees_it_mended() {
    let folder = folder();
    let file = folder.path().join("policies/team/shop.yaml");
    std::fs::write(&file, "version: 2").unwrap();
    let mut reloads = repo(&folder).watch(None);
    assert!(matches!(next(&mut reloads).await, Reload::Broken(_)));
    tokio::time::sleep(Duration::from_millis(200)).await;
    std::fs::write(&file, BASE).unwrap();
    assert!(matches!(next(&mut reloads).await, Reload::Good(_)));
}

#[tokio::test]
async fn a_watch_ends_with_its_receiver() {
    let folder = folder();
    let loaded = repo(&folder).load().unwrap();
    let tasks = tokio::runtime::Handle::current().metrics();
    let before = tasks.num_alive_tasks();
    let reloads = repo(&folder).watch(Some(&loaded));
    drop(reloads);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(tasks.num_alive_tasks(), before);
}
