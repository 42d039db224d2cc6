//! Named crash points in front of and behind every effect: where a test build
//! can be told to die as if the machine had.

/// Dies by SIGKILL where the fail point `name` is set to return; nothing
/// otherwise, and nothing at all without the feature `failpoints`.
#[cfg(feature = "failpoints")]
pub fn point(name: &str) {
    use tokio::runtime::{Handle, RuntimeFlavor};
    let sleeps = |(known, what): &(String, String)| known == name && what.contains("sleep");
    let many = Handle::try_current().map(|runtime| runtime.runtime_flavor());
    // One that sleeps must not hold up what else waits for its thread: a pause, say.
    if matches!(many, Ok(RuntimeFlavor::MultiThread)) && fail::list().iter().any(sleeps) {
        tokio::task::block_in_place(|| evaluate(name));
    } else {
        evaluate(name);
    }
}

#[cfg(feature = "failpoints")]
fn evaluate(name: &str) {
    fail::fail_point!(name, |_| {
        // Should the kernel refuse, an abort is as sudden.
        let _ = nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::SIGKILL);
        std::process::abort()
    });
}

/// Nothing: the feature `failpoints` is off.
#[cfg(not(feature = "failpoints"))]
pub fn point(_name: &str) {}
