# The one-word commands of the project; `make help` lists them.
#
# Everything is built in one profile (dev) and with one feature set, so that nothing is compiled twice: run, demo, test
# and system tests use the same artefacts. Only `bench` and `loadtest` measure, and build with optimisation.

CARGO ?= cargo
# The lock file is the truth; a build that would change it fails.
LOCKED = --locked
# Where the load test leaves what it saw.
LOADTEST_REPORTS = --json target/loadtest/report.json --junit target/loadtest/junit.xml --html target/loadtest/report.html

# What the machine of response groups says of itself, for the table of `make bench`.
GROUP_FIGURES = $(CURDIR)/target/bench/groups.jsonl

.DEFAULT_GOAL := help
.PHONY: help run demo test bench bench-peers loadtest loadtest-broken figures lint doc ci deps-run deps-test deps-anchor deps-peers

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 17

run: deps-run ## Start the server on loopback with a demo conference; Ctrl-C ends it
	$(CARGO) run $(LOCKED) --package convoke -- serve

demo: deps-run ## Let robots meet in a conference; leaves WAVs of what they heard
	$(CARGO) run $(LOCKED) --package convoke -- demo

test: deps-test ## All tests, also those with real phones against the real server
	$(CARGO) build $(LOCKED) --workspace --bins --tests
	$(CARGO) test $(LOCKED) --workspace

bench: deps-anchor ## Measure an optimised server: sound, delay, joins, signalling, groups, memory; report in target/bench
	$(CARGO) build $(LOCKED) --release --package convoke --package loadtest
	rm -f $(GROUP_FIGURES)
	case "$(BENCH)" in *--only*) ;; *) mkdir -p $(dir $(GROUP_FIGURES)) && export BENCH_FIGURES=$(GROUP_FIGURES) && \
		$(CARGO) bench $(LOCKED) --package response-group --bench step && \
		$(CARGO) run $(LOCKED) --release --package response-group --example offers;; esac
	ulimit -n $$(ulimit -Hn) || true; $${CARGO_TARGET_DIR:-target}/release/bench $(BENCH) \
		$$(test ! -e $(GROUP_FIGURES) || echo --more $(GROUP_FIGURES))

loadtest: deps-run ## Plans with synthetic callers against an optimised server; PLANS="soak" names others
	$(CARGO) build $(LOCKED) --release --package convoke --package loadtest
	mkdir -p target/loadtest
	$${CARGO_TARGET_DIR:-target}/release/loadtest run $(LOADTEST_REPORTS) $(PLANS)

figures: deps-run ## Plans with goals: goal, measured, verdict; PLANS="a-100 held", FIGURES="--runs 5"
	$(CARGO) build $(LOCKED) --release --package convoke --package loadtest
	ulimit -n $$(ulimit -Hn) || true; $${CARGO_TARGET_DIR:-target}/release/loadtest figures $(FIGURES) $(PLANS)

# Built beside the good server, for a moment under its name; the last command of the recipe's build puts the good one back.
loadtest-broken: deps-run ## A mixer broken on purpose must fail the smoke plan
	$(CARGO) build $(LOCKED) --package convoke --package loadtest --features convoke/fault-injection
	target=$${CARGO_TARGET_DIR:-target}/debug; cp $$target/convoke $$target/convoke-broken
	$(CARGO) build $(LOCKED) --package convoke
	target=$${CARGO_TARGET_DIR:-target}/debug; $$target/loadtest run smoke --shared --binary $$target/convoke-broken; \
		test $$? -eq 1 && echo "the broken mixer was found out"

bench-peers: deps-peers ## Convoke beside Janus AudioBridge: the same plans, the same machine; PEERS="--runs 5 --variants --held"
	$(CARGO) build $(LOCKED) --release --package convoke --package loadtest
	$${CARGO_TARGET_DIR:-target}/release/loadtest peers $(PEERS)

lint: deps-run ## Formatting, clippy without warnings, licences and bans
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(LOCKED) --workspace --all-targets -- -D warnings
	@scripts/check-licences

doc: deps-run ## The documentation builds without warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(LOCKED) --workspace --no-deps

ci: ## What continuous integration runs
	$(MAKE) lint
	$(MAKE) test
	$(MAKE) doc

deps-run:
	@scripts/install-dependencies run

deps-test:
	@scripts/install-dependencies test

deps-anchor:
	@scripts/install-dependencies anchor

deps-peers:
	@scripts/install-dependencies peers
