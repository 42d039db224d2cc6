# Two commands on a fresh machine with Rust and Debian's packages:
#   make demo    the whole main job, for real, within two minutes after the build
#   make test    formatting, lints and every test
# Both install what is missing, and stop what they start.

# Demo and tests share one build; the crash points that it contains do nothing
# unless they are set. `make release` builds without them.
FEATURES := --features failpoints
NEXTEST := $(shell command -v cargo-nextest 2>/dev/null)

.PHONY: demo test lint install release

demo: install
	cargo build -q $(FEATURES) --bin deployguard --example demo
	@$${CARGO_TARGET_DIR:-target}/debug/examples/demo $(SYSTEM)

test: install lint
ifeq ($(NEXTEST),)
	cargo test $(FEATURES)
else
	cargo nextest run $(FEATURES)
endif

lint:
	cargo fmt --check
	cargo clippy --all-targets $(FEATURES) -- -D warnings

install:
	@sh tests/world/install.sh

release:
	cargo build --release
