# Two commands do all the set-up: `make demo` and `make test`. Python 3.11 to 3.13; Node.js and
# npm only for the contracts' tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint python-test contract-test fuzz soak benchmarks artifacts hashes sbom \
	dependency-audit clean

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

# Each parser of others' bytes in turn, for so many seconds; stops at the first that fails.
FUZZ_SECONDS ?= 60
fuzz: $(VENV)/installed
	for name in $$($(BIN)/python -m tests.fuzzing); do \
	    $(BIN)/python -m tests.fuzzing $$name $(FUZZ_SECONDS) || exit 1; \
	done

# Rounds with random faults, until so many are over or the time is up; a report as JSON.
SOAK_ROUNDS ?= 200
SOAK_SECONDS ?= 3600
SOAK_SEED ?=
soak: $(VENV)/installed
	$(BIN)/python -m tests.soak $(SOAK_ROUNDS) $(SOAK_SECONDS) $(SOAK_SEED)

benchmarks: $(VENV)/installed
	for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

# After a change of constraints.txt, on Linux x86-64 with CPython 3.11: hashes of what was tested,
# and the bill of materials (CycloneDX) that names them.
hashes: $(VENV)/installed
	mkdir -p build
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --dry-run --ignore-installed \
	    --no-deps --report build/report.json -r constraints.txt
	$(BIN)/python docs/deploy/pin_hashes.py < build/report.json > docs/deploy/hashes.txt

sbom: build/supply/installed
	build/supply/bin/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible \
	    docs/deploy/hashes.txt > build/sbom.json
	build/supply/bin/python docs/deploy/place_hashes.py < build/sbom.json > docs/deploy/sbom.cdx.json

# Asks the vulnerability services of PyPI and npm about every pinned package.
dependency-audit: build/supply/installed
	build/supply/bin/pip-audit --disable-pip --no-deps -r constraints.txt
	cd contracts && npm audit

build/supply/installed:
	$(PYTHON) -m venv build/supply
	build/supply/bin/python -m pip install --quiet --disable-pip-version-check \
	    'cyclonedx-bom>=7,<8' 'pip-audit>=2.9,<3'
	@touch $@

artifacts: contracts/node_modules
	cd contracts && npm run build

clean:
	rm -rf $(VENV) contracts/node_modules contracts/out contracts/cache build dist
