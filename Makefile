# `make demo` and `make test` need Python 3.11 or newer and make, nothing else: each makes its own virtual environment.
# What needs Go, root or other tools is in `make e2e`.

PYTHON ?= $(shell for each in python3.13 python3.12 python3.11 python3.14 python3 python; do \
	command -v $$each >/dev/null 2>&1 && $$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { echo $$each; break; }; done)
VENV ?= .venv
DEMO_VENV ?= .venv-demo
AUDIT_VENV ?= .venv-audit
ADVISORIES := https://pypi.org/pypi/pip/json
BIN := $(VENV)/bin
JOBS ?= auto
PYTEST_ARGS ?=
N ?= 20000
SEED ?=
MESHES ?= 500
DEVELOP := --editable '.[all,demo]' --group dev
RUN := --editable '.[demo]'

.DEFAULT_GOAL := help
.PHONY: generated help demo test audit lint format types differential e2e bench bench-smoke simulation clean

help:
	@echo "make demo         the shop, governed: two minutes, ends by itself"
	@echo "make test         lint, types and all tests that need Python only"
	@echo "make differential generated requests through Envoy and proxyless: N of them, SEED repeats a run"
	@echo "make generated    generated meshes through the control plane, Envoy and our decoders: MESHES of them from SEED on"
	@echo "make e2e          whole-system tests: Go, helm, real servers; as root also Pods on a real Kubernetes"
	@echo "make bench        every figure of the README, in one run"
	@echo "make bench-smoke  the same with few calls: does it run at all"
	@echo "make simulation   what the policies do to 10,000 endpoints and 1,000 clients: docs/simulation.md, anew"
	@echo "make lint         ruff and mypy alone"
	@echo "make audit        known vulnerabilities of what is installed (asks pypi.org)"

define venv
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed (set PYTHON=...)"; exit 1; }
	@echo "making $(1) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(1)
	@$(1)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(1)/bin/python -m pip install --quiet --disable-pip-version-check $(2)
	@touch $(1)/.installed
endef

# What fails beside the others, is asked once more alone, and told: a machine that stands still ends calls early, a rule
# that is wrong is wrong again.
define pytest
	$(BIN)/python -m pytest $(1) $(PYTEST_ARGS) || { \
	echo "make $@: what failed above, once more and alone"; \
	$(BIN)/python -m pytest $(2) -n 0 --lf --lfnf=none $(PYTEST_ARGS); }
endef
COUNTED := --cov --cov-append --cov-report=
WHOLE := -v --timeout=900

$(VENV)/.installed: pyproject.toml
	$(call venv,$(VENV),$(DEVELOP))

$(DEMO_VENV)/.installed: pyproject.toml
	$(call venv,$(DEMO_VENV),$(RUN))

demo: $(DEMO_VENV)/.installed
	@$(DEMO_VENV)/bin/proxyless demo $(DEMO_ARGS)

test: $(VENV)/.installed lint
	$(call pytest,-n $(JOBS) --cache-clear --cov --cov-report= -m 'not punctual' tests,$(COUNTED) -m 'not punctual' tests)
	$(call pytest,-n 0 --cache-clear $(COUNTED) -m punctual tests,$(COUNTED) -m punctual tests)
	$(BIN)/python -m coverage report --format=total
	$(BIN)/python -m tools.pure_coverage

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

differential: $(VENV)/.installed
	$(BIN)/python -m tests.differential.generated --requests $(N) $(if $(SEED),--seed $(SEED))

generated: $(VENV)/.installed
	PROXYLESS_GENERATED=$(MESHES) PROXYLESS_SEED=$(or $(SEED),$(shell date +%s)) \
	$(BIN)/python -m pytest -n 0 -p no:cacheprovider $(PYTEST_ARGS) tests/xds/controlplane/test_generated.py

e2e: $(VENV)/.installed
	$(call pytest,--cache-clear $(WHOLE) e2e,$(WHOLE) e2e)

simulation: $(VENV)/.installed
	$(BIN)/python -m tests.simulation

bench: $(VENV)/.installed
	$(BIN)/python -m bench $(BENCH_ARGS)

bench-smoke: $(VENV)/.installed
	$(BIN)/python -m bench --smoke $(BENCH_ARGS)

# Where the index is not reached this fails and says that nothing is known; nothing else depends on it.
audit: $(VENV)/.installed
	@$(PYTHON) -m venv $(AUDIT_VENV)
	@$(AUDIT_VENV)/bin/python -c "import urllib.request; urllib.request.urlopen('$(ADVISORIES)', timeout=30)" 2>/dev/null \
	|| { echo "audit: $(ADVISORIES) is not reached: nothing was audited, nothing is known" >&2; exit 2; }
	@$(AUDIT_VENV)/bin/python -m pip install --quiet --disable-pip-version-check pip-audit \
	|| { echo "audit: pip-audit cannot be installed: nothing was audited, nothing is known" >&2; exit 2; }
	@$(BIN)/python -m pip freeze --exclude-editable > $(AUDIT_VENV)/installed.txt
	@$(AUDIT_VENV)/bin/pip-audit --strict --no-deps --disable-pip --requirement $(AUDIT_VENV)/installed.txt

clean:
	rm -rf $(VENV) $(DEMO_VENV) $(AUDIT_VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* build dist htmlcov
