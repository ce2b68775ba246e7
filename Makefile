# Two commands do all the set-up: `make demo` and `make test`. Python 3.11 to 3.13; Node.js and
# npm only for the contracts' tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint python-test contract-test benchmarks artifacts clean

demo: $(VENV)/installed
	$(BIN)/ddcai demo

# The contracts' packages come first: with them the Python tests run on anvil as well.
test: lint contracts/node_modules python-test contract-test

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else \
	    f"ddcai needs Python 3.11 to 3.13, and {sys.executable} is {v[0]}.{v[1]}: run make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,fast]'
	@touch $@

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

python-test: $(VENV)/installed
	$(BIN)/python -m pytest

contracts/node_modules: contracts/package-lock.json
	@if command -v npm >/dev/null 2>&1; then \
	    cd contracts && npm ci --no-audit --no-fund --ignore-scripts && touch node_modules; \
	else \
	    echo "left out: the tests on anvil, because npm is not installed; install Node.js 20 or newer"; \
	fi

contract-test: contracts/node_modules
	@if command -v npm >/dev/null 2>&1; then \
	    cd contracts && npm test; \
	else \
	    echo "left out: the contracts' own tests (forge) and the check that the artifacts are what"; \
	    echo "the sources compile to, because npm is not installed; install Node.js 20 or newer"; \
	fi

benchmarks: $(VENV)/installed
	for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

artifacts: contracts/node_modules
	cd contracts && npm run build

clean:
	rm -rf $(VENV) contracts/node_modules contracts/out contracts/cache build dist
