//! What a command is told, what is kept of it, and that it ends.

use std::path::Path;

use super::*;

fn shell(script: &str) -> Command {
    Command {
        program: PathBuf::from("/bin/sh"),
        called: "sh".into(),
        arguments: ["-c", script, "sh"].iter().map(|text| Template::parse(text).unwrap()).collect(),
        folder: None,
        time_out: Duration::from_secs(20),
        env: BTreeMap::new(),
    }
}

fn with(mut command: Command, arguments: &[&str]) -> Command {
    command.arguments.extend(arguments.iter().map(|text| Template::parse(text).unwrap()));
    command
}

fn only(command: Command) -> Commands {
    Commands::new([("smoke".to_owned(), command)].into())
}

async fn run(command: Command, values: &Values) -> Ran {
    only(command).run("smoke", Purpose::Probe, values).await
}

fn values(of: &[(&str, &str)]) -> Values {
    of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn a_value_is_one_argument_whatever_stands_in_it() {
    let nasty = "a b; $(id) `id` 'x' \"y\" | > & * \\ ${service} ü";
    let command = with(shell("printf '<%s>' \"$@\""), &["${service}", "--env=${environment}"]);
    let ran = run(command, &values(&[("service", nasty), ("environment", "-x --y")])).await;
    assert_eq!(ran.ended, Ended::Exit(0));
    assert_eq!(ran.output.text, format!("<{nasty}><--env=-x --y>"));
}

#[tokio::test]
async fn a_value_that_would_be_a_flag_or_is_not_known_is_refused_in_words() {
    for (argument, value, told) in [
        ("${version}", "--force", "the value of `${version}` begins with `-`"),
        ("${version}.tar", "-rf", "the value of `${version}` begins with `-`"),
        ("${version}", "", "`${version}` is not known"),
        ("x${version}", "a\nb", "has control characters in it"),
        ("x${version}", &"a".repeat(5000), "longer than 4096 bytes"),
        ("${labels.tier}", "", "`${labels.tier}` is not known"),
    ] {
        let ran = run(with(shell("exit 0"), &[argument]), &values(&[("version", value)])).await;
        let Ended::NotRun(why) = &ran.ended else { panic!("{argument}: {ran:?}") };
        assert!(why.contains(told), "{why}");
    }
}

#[test]
fn what_only_a_rollback_knows_is_no_use_to_a_probe() {
    let commands = only(with(shell("exit 0"), &["${target.revision}"]));
    let why = commands.check("smoke", Purpose::Probe).unwrap_err();
    assert!(why.contains("`${target.revision}`, which a probe can't say"), "{why}");
    assert_eq!(commands.check("smoke", Purpose::RollBack), Ok(()));
    let why = commands.check("smoky", Purpose::Probe).unwrap_err();
    assert!(why.contains("no command `smoky`: name it under `commands`"), "{why}");
}

#[tokio::test]
async fn a_command_has_what_the_settings_name_and_nothing_else_of_the_daemons_environment() {
    let mut command = shell("env | cut -d= -f1 | sort | tr '\\n' ' '; pwd; wc -c");
    command.env = [("TOKEN".to_owned(), Variable::Secret("s3cret".into()))].into();
    command.folder = Some(PathBuf::from("/"));
    let ran = run(command, &Values::new()).await;
    let names = ran.output.text.lines().next().unwrap();
    assert!(names.contains("TOKEN") && names.contains("PATH"), "{names}");
    assert!(!names.contains("CARGO"), "{names}");
    // Nothing to read is the end of what there is to read.
    assert!(names.ends_with(" /") && ran.output.text.trim().ends_with('0'), "{ran:?}");
}

#[tokio::test]
async fn how_a_command_ended_is_told_apart() {
    for (script, ended, words) in [
        ("exit 0", Ended::Exit(0), "ended with exit code 0"),
        ("exit 7", Ended::Exit(7), "ended with exit code 7"),
        ("kill -9 $$", Ended::Signal(9), "was ended by SIGKILL"),
    ] {
        let ran = run(shell(script), &Values::new()).await;
        assert_eq!((ran.ended.to_string().as_str(), ran.ended), (words, ended));
    }
    let mut gone = shell("exit 0");
    gone.program = PathBuf::from("/no/such/program");
    let ran = run(gone, &Values::new()).await;
    assert!(ran.ended.to_string().starts_with("could not be run: /no/such/program: "), "{ran:?}");
}

/// Whether somebody still has `pid`, who is not only waited for.
fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

/// A process that was killed is gone a moment later.
async fn is_gone(pid: &str) {
    while lives(pid) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_command_that_is_not_done_in_time_is_ended_with_all_its_children() {
    let mut command = shell("trap '' TERM; sleep 600 & echo $!; echo $$; wait; sleep 600");
    command.time_out = Duration::from_millis(300);
    let ran = run(command, &Values::new()).await;
    assert_eq!(ran.ended, Ended::TimedOut(Duration::from_millis(300)));
    assert_eq!(ran.ended.to_string(), "was not done within 0.3 s");
    let pids: Vec<&str> = ran.output.text.lines().collect();
    assert_eq!(pids.len(), 2, "{ran:?}");
    for pid in pids {
        is_gone(pid).await;
    }
}

#[tokio::test]
async fn what_a_command_leaves_behind_is_ended_and_its_open_output_not_waited_for() {
    let ran = run(shell("sleep 600 & echo $!"), &Values::new()).await;
    assert_eq!(ran.ended, Ended::Exit(0));
    is_gone(ran.output.text.trim()).await;
    assert!(ran.took < Duration::from_secs(10), "{ran:?}");
}

#[tokio::test]
async fn a_daemon_that_stops_ends_its_commands_and_runs_no_more() {
    let commands = only(shell("trap 'echo tidied; exit 3' TERM; echo $$; sleep 600 & wait"));
    let asked = commands.clone();
    let nothing = Values::new();
    let running = async { asked.run("smoke", Purpose::Probe, &nothing).await };
    let stopping = async {
        while commands.running.is_empty() {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        commands.close().await;
    };
    let (ran, ()) = tokio::join!(running, stopping);
    assert_eq!(ran.ended, Ended::Stopped);
    // It was asked to end first, and could.
    assert!(ran.output.text.contains("tidied"), "{ran:?}");
    assert_eq!(commands.run("smoke", Purpose::Probe, &nothing).await.ended, Ended::Stopped);
}

#[tokio::test]
async fn a_command_that_nobody_waits_for_is_ended() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().display();
    let commands = only(shell(&format!("echo $$ > {path}; sleep 600 & wait")));
    let nothing = Values::new();
    let written = async {
        loop {
            let pid = std::fs::read_to_string(file.path()).unwrap();
            if pid.ends_with('\n') {
                return pid.trim().to_owned();
            }
            tokio::task::yield_now().await;
        }
    };
    let pid = tokio::select! {
        ran = commands.run("smoke", Purpose::Probe, &nothing) => panic!("{ran:?}"),
        pid = written => pid,
    };
    commands.running.close();
    commands.running.wait().await;
    is_gone(&pid).await;
}

#[tokio::test]
async fn a_rollback_that_was_begun_goes_on_when_nobody_waits_for_it_and_probes_are_ended() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = shell("touch begun; while [ ! -e go ]; do sleep 0.05; done; touch done");
    command.folder = Some(folder.path().to_owned());
    let commands = only(command);
    let is_there = |name: &str| folder.path().join(name).exists();
    let begun = async {
        while !is_there("begun") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let nothing = Values::new();
    tokio::select! {
        ran = commands.run("smoke", Purpose::RollBack, &nothing) => panic!("{ran:?}"),
        () = begun => {}
    }
    commands.close_probes();
    std::fs::write(folder.path().join("go"), "").unwrap();
    commands.running.close();
    commands.running.wait().await;
    assert!(is_there("done"));
    assert_eq!(commands.run("smoke", Purpose::Probe, &nothing).await.ended, Ended::Stopped);
}

#[tokio::test]
async fn only_so_many_run_at_once_and_a_rollback_waits_for_no_probe() {
    let folder = tempfile::tempdir().unwrap();
    let mut command =
        shell("mktemp -p . > /dev/null; ls | wc -l; while [ -e go ]; do sleep 0.05; done");
    command.folder = Some(folder.path().to_owned());
    std::fs::write(folder.path().join("go"), "").unwrap();
    let commands = only(command);
    let probes: Vec<_> = (0..6)
        .map(|_| {
            let commands = commands.clone();
            tokio::spawn(async move { commands.run("smoke", Purpose::Probe, &Values::new()).await })
        })
        .collect();
    let begun = || std::fs::read_dir(folder.path()).unwrap().count() - 1;
    while begun() < AT_ONCE {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let rolling = commands.clone();
    let rolling =
        tokio::spawn(async move { rolling.run("smoke", Purpose::RollBack, &Values::new()).await });
    while begun() < AT_ONCE + 1 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(commands.probes.free.available_permits(), 0);
    std::fs::remove_file(folder.path().join("go")).unwrap();
    for ran in probes.into_iter().chain([rolling]) {
        assert_eq!(ran.await.unwrap().ended, Ended::Exit(0));
    }
}

#[tokio::test]
async fn of_much_output_the_first_and_last_is_kept_and_it_is_said_how_much_is_not() {
    let script = "i=0; while [ $i -lt 20000 ]; do echo \"line $i\"; i=$((i+1)); done; echo end >&2";
    let ran = run(shell(script), &Values::new()).await;
    let text = &ran.output.text;
    assert!(text.starts_with("line 0\nline 1\n") && text.ends_with("line 19999\nend\n"), "{text}");
    assert!(ran.output.bytes > 200_000 && text.len() < 13_000, "{}", text.len());
    let left_out = format!("[... {} bytes left out ...]", ran.output.bytes - 12 * 1024);
    assert!(text.contains(&left_out), "{text}");
    assert_eq!(ran.output.last_lines(2), ["line 19999", "end"]);
}

#[test]
fn no_part_of_a_secret_is_kept_wherever_the_edges_fall() {
    let secret = "0123456789abcdefghij".to_owned();
    for before in 0..secret.len() * 2 {
        for chunk in [7, 100_000] {
            let mut kept = output::Kept::without(std::slice::from_ref(&secret));
            let text = ".".repeat(before) + &secret.repeat(6000) + &".".repeat(before);
            text.as_bytes().chunks(chunk).for_each(|bytes| kept.push(bytes));
            let shown = kept.output().text.replace("bytes left out", "");
            assert!(!shown.contains(|c: char| c.is_ascii_lowercase()), "{before}: {shown}");
            assert!(shown.starts_with(&(".".repeat(before) + "***")), "{before}: {shown}");
        }
    }
}

#[tokio::test]
async fn output_that_is_no_text_is_shown_as_such_and_can_t_speak_to_a_terminal() {
    let script = r"printf 'a\377b\033[31mred\033[0m\r\nc\000d\007\n\303\274'";
    let ran = run(shell(script), &Values::new()).await;
    assert_eq!(ran.output.text, "a\u{fffd}bred\ncd\nü");
}
