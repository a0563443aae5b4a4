# make run and make test are all a fresh machine with python3 and make needs; each sets up .venv itself.
PYTHON ?= python3
BIN := .venv/bin
SETUP := .venv/.installed
JOBS ?= 2
SUDO := $(shell [ $$(id -u) = 0 ] || echo sudo)

.PHONY: run test check format bench rtl-tools rtl browser-tools clean

run: $(SETUP)
	$(BIN)/spusim run kws -o out/kws

test: $(SETUP)
	$(BIN)/python -m pytest tests -n $(JOBS)

check: $(SETUP)
	$(BIN)/ruff format --check spusim tests benchmarks
	$(BIN)/ruff check spusim tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports --config setup.cfg

format: $(SETUP)
	$(BIN)/ruff format spusim tests benchmarks
	$(BIN)/ruff check --fix spusim tests benchmarks

bench: $(SETUP)
	$(BIN)/python -m benchmarks.speed

# What tests/rtl needs besides Python; without it those tests are skipped (and fail where CI=true).
rtl-tools:
	@if command -v verilator && command -v yosys && command -v g++; then exit 0; fi; \
	command -v apt-get >/dev/null || { \
	    echo "install verilator (5.006 or later), yosys and g++ with your package manager"; exit 1; }; \
	$(SUDO) apt-get update && \
	$(SUDO) apt-get install --yes --no-install-recommends verilator yosys g++

# What the tests of reports need besides Python; without it they are skipped (and fail where CI=true).
browser-tools:
	@if command -v chromium && command -v chromedriver; then exit 0; fi; \
	command -v apt-get >/dev/null || { \
	    echo "install chromium and chromedriver with your package manager"; exit 1; }; \
	$(SUDO) apt-get update && \
	$(SUDO) apt-get install --yes --no-install-recommends chromium chromium-driver

# Builds every parameter set ahead of the tests, which else build what they find missing.
rtl: $(SETUP)
	$(BIN)/python tests/rtl/rtl_build.py

$(SETUP): setup.cfg constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,torch,report,cluster]'
	touch $@

clean:
	rm -rf .venv out build dist tests/rtl/.cache
