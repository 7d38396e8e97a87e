# Each target makes the environment that it needs on first use, and again when pyproject.toml or the pins change.

PINS := .ci/constraints-3.10.txt
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help check demo test test-compiled test-once test-interpreted core-test mutants bench lint format pins clean environment

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1|\2/p' Makefile | awk -F'|' '{ printf "%-16s %s\n", $$1, $$2 }'

demo: environment ## train, prune, lower and run on Lava; writes demo/report.json and demo/report.png
	$(BIN)/qpsnn demo --out demo

check: environment ## lint, and a few cases of every test that is not slow: three minutes, once kernels are compiled
	@mkdir -p build
	@$(MAKE) --no-print-directory lint > build/lint.log 2>&1 & lint=$$!; \
	$(BIN)/pytest -m quick; status=$$?; \
	wait $$lint || status=1; cat build/lint.log; exit $$status

test: test-compiled test-once test-interpreted ## the whole suite, then some of the kernels' tests without the compiler

test-compiled: environment
	$(BIN)/pytest -m "not once and not lava"

test-once: environment # on one thread: two for networks of a few neurons take half as much of the processor again
	QPSNN_THREADS=1 $(BIN)/pytest -m "once or lava"

INTERPRETED := tests/contract tests/unit/engine/layers tests/unit/integer tests/unit/kernels

test-interpreted: environment
	NUMBA_DISABLE_JIT=1 $(BIN)/pytest $(INTERPRETED) -m "interpreted and few and not slow and not lava"

core-test: ## the suite against an installed core without Lava, on the newest Python found
	.ci/core-test

mutants: ## changes the numeric core, and lists which changes no test notices; COUNT=300 SEED=1 JOBS=2 ONLY=part-of-path
	@.ci/environment .venv-mutants $(PINS) 3.10 --editable '.[data,cli,events,exchange,test,mutants]'
	PYTHONPATH=tests .venv-mutants/bin/python -m mutants \
		--count $(or $(COUNT),300) --seed $(or $(SEED),1) --jobs $(or $(JOBS),2) --only '$(ONLY)'

bench: ## times against PyTorch, SpikingJelly and snnTorch, into docs; QUICK=1: one thread, ten minutes, build/bench
	@benchmarks/environment
	.venv-bench/bin/python -m benchmarks $(if $(QUICK),--quick,--publish)

# mypy follows neither setuptools' editable hook nor its renaming of backends/ and datasets/: links bear the names.
lint: environment ## ruff (format and lint) and mypy; all three run, whatever fails
	@mkdir -p .venv/links
	@ln -sfn ../../backends .venv/links/qpsnn_backends
	@ln -sfn ../../datasets .venv/links/qpsnn_datasets
	@status=0; \
	$(BIN)/ruff format --check . || status=1; \
	$(BIN)/ruff check . || status=1; \
	$(BIN)/mypy || status=1; \
	exit $$status

format: environment ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

pins: ## resolve all versions anew and write them to both pin files
	.ci/pins

clean: ## remove environments, caches and what the demo wrote
	rm -rf .venv .venv-core .venv-bench .venv-mutants build demo qpsnn.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find qpsnn_core backends datasets tests -name __pycache__ -type d -prune -exec rm -rf {} +

environment:
	@.ci/environment .venv $(PINS) 3.10 --editable '.[lava,data,cli,plot,events,exchange,test,dev]'
