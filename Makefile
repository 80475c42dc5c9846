# Consilium: what people type. `make demo` and `make test` need Python >= 3.11 and nothing else.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
ARGS   ?=
EXTRAS ?= test
ONLY   ?= engine

.DEFAULT_GOAL := help
.PHONY: help demo web test plain slow scenario check proof clean

help:            ## show this list
	@grep -hE '^[a-z]+: .*##|^[a-z]+: +##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 12

demo: $(VENV)/.base   ## four hospitals train one model together (ARGS="--data DIR --seed N")
	@$(BIN)/consilium demo $(ARGS)

web: $(VENV)/.test   ## build the console's bundle anew (installing does it too)
	@$(BIN)/python hatch_build.py

test: plain slow scenario   ## all tests: plain, slow, then whole spaces with the real engine

plain: $(VENV)/.test   ## the plain tests (under two minutes)
	@$(BIN)/pytest -q -n 2 --dist loadfile -m "not scenario and not slow and not postgres" $(ARGS)

slow: $(VENV)/.test   ## tests that wait for clocks, repeat much or need PostgreSQL
	@$(BIN)/pytest -q -n 2 --dist load -m "(slow or postgres) and not scenario" $(ARGS)

scenario: $(VENV)/.test   ## whole spaces: real processes, engine and certificates
	@$(BIN)/pytest -q -n 2 --dist loadfile --no-loadscope-reorder -m scenario tests/scenario $(ARGS)

check: $(VENV)/.test   ## style, types, floors
	@$(BIN)/ruff check src tests benchmarks scripts hatch_build.py
	@$(BIN)/ruff format --check src tests benchmarks scripts hatch_build.py
	@$(BIN)/mypy
	@$(BIN)/lint-imports

proof: $(VENV)/.test   ## measure every figure that we claim (ONLY=area QUICK=1)
	@$(BIN)/python -m benchmarks.proof --only $(ONLY) $(if $(QUICK),--quick)

clean:           ## remove the virtual environment and everything the tools left
	rm -rf $(VENV) build dist web/node_modules src/consilium/web/bundle .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .consilium
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.base: pyproject.toml constraints.txt
	@$(PYTHON) scripts/setup.py $(VENV)

$(VENV)/.test: pyproject.toml constraints.txt
	@$(PYTHON) scripts/setup.py $(VENV) --extras $(EXTRAS)
