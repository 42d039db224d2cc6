//! The binary: everything is in the library, so that tests can reach it.

fn main() -> std::process::ExitCode {
    // Crash points are set from the environment, in test builds only.
    #[cfg(feature = "failpoints")]
    let _scenario = fail::FailScenario::setup();
    deployguard::cli::main()
}
