# Everything here sets itself up: Python 3.11 or later and make are enough.

PYTHON ?= python3
BIN := .venv/bin
ONCE ?=
BENCH ?=
TORTURE ?=
SOAK ?=
DAY ?=
FUZZ ?=
SYSTEMD ?=
PACKAGES ?=
# As Debian 12 has.
DEB_PYTHON ?= 3.11

# The time that packages bear: that of the commit.
export SOURCE_DATE_EPOCH ?= $(shell git log -1 --pretty=%ct 2>/dev/null || date +%s)

.PHONY: demo test test-systemd test-packages dist deb pins check audit bench torture soak day fuzz format clean

demo: .venv/installed  ## the main job against a stand-in for GitHub; ONCE=1 ends by itself
	@$(BIN)/python -m daemon.demo $(if $(ONCE),--once)

test: .venv/test  ## the whole suite, four tests at a time: they wait as long as they compute
	$(BIN)/python -m pytest -n 4 --dist worksteal

test-systemd: .venv/test  ## under a real systemd, in a container: wants root and systemd-nspawn
	$(BIN)/python -m tests.systemd $(SYSTEMD)

test-packages: .venv/dev  ## the wheel by pip, pipx and uv; the Debian package on a Debian made for it
	$(BIN)/python -m tests.packages $(PACKAGES)

dist: .venv/dev  ## the sdist and the wheel, whose bytes depend on the commit alone
	rm -rf dist
	$(BIN)/python -m build

deb: .venv/dev  ## a Debian package of the wheel in dist/; DEB_PYTHON=3.13 for Debian 13
	@ls dist/*.whl > /dev/null 2>&1 || $(MAKE) dist
	$(BIN)/python -m packages.deb dist/*.whl --python $(DEB_PYTHON)

pins: .venv/dev  ## packages/requirements.txt anew: the newest of all dependencies
	@mkdir -p build
	{ echo '# Everything that dispatchd needs, with the hashes of its files: for what brings it along.'; \
		echo '# Written by `make pins`, from pyproject.toml.'; \
		$(BIN)/uv pip compile --quiet pyproject.toml --extra notify --extra otel --universal \
			--python-version 3.11 --generate-hashes --no-header; } > build/requirements.txt
	mv build/requirements.txt packages/requirements.txt

check: .venv/dev  ## exactly what CI runs
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test PYTEST_ADDOPTS="$(PYTEST_ADDOPTS) --cov --cov-report=term:skip-covered"

audit: .venv/audit  ## known flaws in what is installed (PyPI is asked), and in workflows
	@mkdir -p build
	$(BIN)/python -m pip freeze --quiet --exclude-editable > build/audited.txt
	$(BIN)/pip-audit --strict --disable-pip --no-deps --requirement build/audited.txt
	$(BIN)/zizmor --offline --pedantic --no-progress examples/*.yml $(wildcard .github/workflows/*.yml)

bench: .venv/installed  ## the figures of docs/performance.md; BENCH="intake --rounds 3" for some
	@mkdir -p build
	$(BIN)/python -m bench --json build/bench.json $(BENCH)

torture: .venv/installed  ## kill -9 a thousand times (TORTURE="--kills 100" for fewer), then SIGSTOP
	@mkdir -p build
	$(BIN)/python -m tests.torture --json build/torture.json $(TORTURE)
	$(BIN)/python -m tests.faults.sigstop

soak: .venv/test  ## ten minutes under load: reloads, kills, a full disk (SOAK="--minutes 2" for less)
	@mkdir -p build
	$(BIN)/python -m tests.soak --json build/soak.json $(SOAK)

day: .venv/test  ## a simulated day of 5,000 dispatches (DAY="--dispatches 200 --hours 2" for less)
	@mkdir -p build
	$(BIN)/python -m tests.day --json build/day.json $(DAY)

fuzz: .venv/fuzz  ## ten minutes of made-up input; FUZZ="--minutes 1 --target body" for less
	$(BIN)/python -m tests.fuzz $(FUZZ)

format: .venv/dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "dispatchd needs Python 3.11 or later; name one with: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv .venv || { rm -rf .venv; echo "on Debian: apt install python3-venv" >&2; exit 1; }

.venv/installed: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

.venv/test: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@

.venv/fuzz: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[fuzz]'
	@touch $@

.venv/audit: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[test,audit]'
	@touch $@ .venv/test

.venv/dev: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@ .venv/test

clean:
	rm -rf .venv build dist *.egg-info
