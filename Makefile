# make run and make test are all a fresh machine with python3 and make needs; each sets up .venv itself.
PYTHON ?= python3
BIN := .venv/bin
SETUP := .venv/.installed
JOBS ?= 2

.PHONY: run test check format bench isa-example clean

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

isa-example: $(SETUP)
	$(BIN)/python -m pytest tests/test_isa_example.py -m "slow or not slow"

$(SETUP): setup.cfg constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,torch,report,cluster]'
	touch $@

clean:
	rm -rf .venv out build dist
