# Every target does its own set-up; the second time is quick.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort \
		| awk 'BEGIN {FS = ":.*## "}; {printf "  %-13s %s\n", $$1, $$2}'

# One stamp for each level of dependencies: each holds the ones before it.
$(VENV)/.runtime: requirements/runtime.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing what smppgw needs into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--no-build-isolation --editable .
	@touch $@

$(VENV)/.test $(VENV)/.bench $(VENV)/.dev $(VENV)/.docs: $(VENV)/.%: requirements/%.txt $(VENV)/.runtime
	@echo "Installing what the targets for developers need into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.PHONY: demo
demo: $(VENV)/.runtime ## Send a commune's list through a simulated SMSC, end to end
	@$(BIN)/smppgw demo

.PHONY: test
test: $(VENV)/.test ## Run the whole test suite
	@$(BIN)/pytest -n 2 --dist worksteal

.PHONY: check
check: $(VENV)/.dev ## Format, lint, types, import law, links in the docs
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/bandit -q -r smppgw -c pyproject.toml 2>/dev/null  # its warnings are of its own parsing
	@$(BIN)/pytest tests/test_architecture.py tests/test_docs.py

.PHONY: format
format: $(VENV)/.dev ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: bench
bench: $(VENV)/.bench ## Measure, with ratios to peers in the same run; BENCH_JSON=FILE, BENCH_CHART=FILE
	@$(BIN)/smppgw bench $(if $(BENCH_JSON),--json-file $(BENCH_JSON)) \
		$(if $(BENCH_CHART),--chart $(BENCH_CHART))

MAN := deploy/data/share/man/man1/smppgw.1
.PHONY: man
man: $(VENV)/.runtime ## Write the manual page from the help of the commands
	@$(BIN)/python -m smppgw.cli.man > $(MAN).new && mv $(MAN).new $(MAN)

# The time of the last commit stands in the archive: whoever builds it gets the same octets.
.PHONY: wheel
wheel: $(VENV)/.runtime ## Build the wheel into dist/
	@SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct 2>/dev/null || echo 1700000000)} \
		$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-index \
		--no-build-isolation --wheel-dir dist .

.PHONY: wheel-check
wheel-check: $(VENV)/.runtime ## Install the wheel elsewhere, with the pinned requirements, and run it
	@$(BIN)/python -m tests.package.wheel

.PHONY: prometheus
prometheus: $(VENV)/.test ## Ask a real Prometheus every query of deploy/ (needs Debian's prometheus)
	@$(BIN)/python -m tests.deploy.live

FUZZ_SECONDS ?= 600
.PHONY: fuzz
fuzz: $(VENV)/.test ## Feed sessions broken streams for FUZZ_SECONDS (600)
	@$(BIN)/python -m tests.fuzz.streams $(FUZZ_SECONDS)

SEEDS ?= 1000
FROM ?= 1
.PHONY: soak
soak: $(VENV)/.test ## Simulate SEEDS (1000) whole runs under faults, FROM (1) a first seed
	@$(BIN)/python -m tests.simulation.soak --seeds $(SEEDS) --first $(FROM)

MESSAGES ?= 5000000
.PHONY: week
week: $(VENV)/.test ## Send a week's MESSAGES (5000000) through a ledger on disk, with retention
	@$(BIN)/python -m tests.ledger.week $(MESSAGES)

.PHONY: sabotage
sabotage: $(VENV)/.test ## Break the gateway on purpose, and see that the simulation finds it
	@$(BIN)/python -m tests.simulation.sabotage

KILLS ?= 50
.PHONY: kills
kills: $(VENV)/.test ## Kill the gateway KILLS (50) times at full speed under each policy
	@$(BIN)/python -m tests.e2e.kills --kills $(KILLS)

.PHONY: compare-texts
compare-texts: $(VENV)/.test ## Cut a million generated texts beside smsutil
	@$(BIN)/python -m tests.sms.compare

.PHONY: captures
captures: $(VENV)/.test ## Take the pictures of docs/captures.md anew, from a run on a simulated SMSC
	@$(BIN)/python -m tests.docs.captures

.PHONY: docs
docs: $(VENV)/.docs ## Build the documentation as a site into site/
	@$(BIN)/properdocs build --strict --quiet

.PHONY: lock
lock: $(VENV)/.dev ## Pin the dependencies anew, with hashes
	@for level in runtime: bench:bench test:test dev:test,dev docs:docs; do \
		$(BIN)/pip-compile --quiet --strip-extras --generate-hashes --no-header --no-annotate \
			--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options \
			--allow-unsafe --build-deps-for editable \
			$$(echo $${level#*:} | tr , '\n' | sed 's/^./--extra &/') \
			--output-file requirements/$${level%%:*}.txt pyproject.toml || exit 1; \
	done

.PHONY: clean
clean: ## Remove what the other targets made
	@rm -rf $(VENV) .hypothesis .mypy_cache .pytest_cache .ruff_cache dist site
