# make demo | test | lint | types | clean
# Each makes what it needs in .venv; a second call starts at once.

PYTHON ?= python3
VENV := .venv
# 0: test without torch. It is installed first and alone, by its exact pinned version: anything
# looser makes pip fetch gigabytes of CUDA libraries.
TORCH ?= 1
TESTFLAGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# The mark names this folder: a tree copied together with its .venv makes a new one, rather than
# running the code of the tree it was copied from.
HERE := $(shell printf '%s' '$(CURDIR)' | cksum | cut -d ' ' -f 1)
DEPS := pyproject.toml setup.py constraints.txt
# --no-build-isolation: the pinned setuptools in .venv builds, so nothing is fetched twice.
INSTALL := $(PIP) install --quiet --no-build-isolation -c constraints.txt
EXAMPLE := examples/digits/digits.qrl

.PHONY: demo test lint types clean
.NOTPARALLEL:
.DELETE_ON_ERROR:

# A model from its text to its curve: what it is made of, its circuit, and a training run.
demo: $(VENV)/.train-$(HERE)
	$(BIN)/qrlc inspect $(EXAMPLE)
	$(BIN)/qrlc draw $(EXAMPLE) --set layers=1
	$(BIN)/qrlc train $(EXAMPLE)

test: $(VENV)/.test$(TORCH)-$(HERE)
	$(BIN)/pytest -n auto $(TESTFLAGS)

lint: $(VENV)/.lint-$(HERE)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# mypy has to see grammar/, backends/ and stdlib/ inside qrlang/, as they are once installed.
types: $(VENV)/.lint-$(HERE)
	@rm -rf $(VENV)/types && mkdir -p $(VENV)/types/qrlang
	@ln -s $(addprefix $(CURDIR)/,$(wildcard qrlang/*) grammar backends stdlib) $(VENV)/types/qrlang/
	cd $(VENV)/types && $(abspath $(BIN))/python -m mypy -p qrlang \
		--config-file $(CURDIR)/pyproject.toml --cache-dir $(CURDIR)/.mypy_cache

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.venv-$(HERE):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "qrlang needs Python 3.11 or newer; name one with: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
		echo "$(PYTHON) has no venv module; on Debian or Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.core-$(HERE): $(VENV)/.venv-$(HERE) $(DEPS)
	@$(INSTALL) setuptools
	$(INSTALL) -e .
	@touch $@

$(VENV)/.train-$(HERE): $(VENV)/.core-$(HERE)
	$(PIP) install --quiet $$(grep '^torch==' constraints.txt)
	$(INSTALL) -e '.[train]'
	@touch $@

$(VENV)/.test0-$(HERE): $(VENV)/.core-$(HERE)
	$(INSTALL) -e '.[test]'
	@touch $@

$(VENV)/.test1-$(HERE): $(VENV)/.core-$(HERE)
	$(PIP) install --quiet $$(grep '^torch==' constraints.txt)
	$(INSTALL) -e '.[test,train]'
	@touch $@

$(VENV)/.lint-$(HERE): $(VENV)/.core-$(HERE)
	$(INSTALL) -e '.[lint]'
	@touch $@
