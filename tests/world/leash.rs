//! Child processes that end when this one does, however it ends.

use std::ffi::OsStr;
use std::io;
use std::process::{Child, Command, ExitStatus, Stdio};

/// Runs a command, and kills it once standard input closes: that happens even when the process
/// that holds the other end is killed itself.
const SCRIPT: &str = r#"
exec 3<&0
"$@" 3<&- </dev/null &
child=$!
{ read -r _ <&3; kill -9 "$child"; } 2>/dev/null &
wait "$child"
"#;

/// A running child process; killed when dropped.
pub struct Leashed(Child);

impl Leashed {
    /// Starts it; what it writes to standard error goes to `log`.
    pub fn start<I: AsRef<OsStr>>(
        command: impl IntoIterator<Item = I>,
        log: impl Into<Stdio>,
    ) -> io::Result<Self> {
        let shell = Command::new("sh")
            .args(["-c", SCRIPT, "leash"])
            .args(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        Ok(Self(shell))
    }

    /// How it ended, when it has ended by itself.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.0.try_wait()
    }
}

impl Drop for Leashed {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // Fails only when it has been waited for already, which is what is wanted.
        drop(self.0.wait());
    }
}
