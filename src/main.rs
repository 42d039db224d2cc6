fn main() -> std::process::ExitCode {
    deployguard::cli::main()
}
