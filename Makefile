# make run and make test are all a fresh machine with python3 and make needs; each sets up .venv itself.
PYTHON ?= python3
BIN := .venv/bin
SETUP := .venv/.installed
JOBS ?= 2
SUDO := $(shell [ $$(id -u) = 0 ] || echo sudo)

# where it is set, every process that a test starts would compile all modules again
unexport PYTHONDONTWRITEBYTECODE

MINUTES ?= 5
SILERO := .cache/silero
PEER := .cache/peer
INDEXED := tests/kernels tests/machine tests/stepper tests/retime tests/compiler tests/convnet
AGREEMENT := tests/stepper tests/rtl tests/machine tests/agreement

# what tests build where they find it missing; RTL only with its tools
AHEAD = kernels $$(command -v verilator >/dev/null && command -v g++ >/dev/null && echo rtl)

.PHONY: run test bounds kernels verify soak mutants check format bench bench-check bench-record peer rtl-tools browser-tools rtl isa-example silero clean

run: $(SETUP)
	$(BIN)/spusim run kws -o out/kws

# Contiguous halves, then whatever the slower one has left: most files stay in one process.
test: $(SETUP)
	$(MAKE) --jobs $(JOBS) $(AHEAD)
	$(BIN)/python -m pytest tests -n $(JOBS) --dist worksteal

# Compiles all kernels in one process, before several would each compile them for themselves.
kernels: $(SETUP)
	$(BIN)/python -c "from spusim.experiments.sweep.warm import WARM; [warm() for warm in WARM.values()]"

# Only what compares the implementations, more of it than `make test` runs; ends with how many
# programs and cycles agreed.
verify: $(SETUP)
	$(MAKE) --jobs $(JOBS) $(AHEAD)
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "slow or not slow" $(AGREEMENT)

# The same on fresh programs, for MINUTES; SEED=n draws those of an earlier soak.
soak: $(SETUP)
	$(BIN)/python tests/agreement/soak.py --minutes $(MINUTES) --jobs $(JOBS) $(SEED:%=--seed %)

# Tests of kernels and of what runs them, with every index of every kernel checked: a read beyond an
# array is an error, and so is a negative index. Some minutes, and kernels of its own.
bounds: $(SETUP)
	NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=$(CURDIR)/.cache/bounds \
	    $(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(INDEXED)

# Plants faults in a copy, one after the other, and sees a test notice each; takes a quarter of an hour.
mutants: $(SETUP)
	$(BIN)/python tests/mutants/plant.py --jobs $(JOBS)

check: $(SETUP)
	$(BIN)/ruff format --check spusim tests benchmarks
	$(BIN)/ruff check spusim tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports --config setup.cfg

format: $(SETUP)
	$(BIN)/ruff format spusim tests benchmarks
	$(BIN)/ruff check --fix spusim tests benchmarks

# Everything, with targets: table, data and figure in out/bench; some minutes on a quiet machine.
bench: $(SETUP)
	$(BIN)/python -m benchmarks.speed
	$(BIN)/python -m benchmarks.sweeps

# Is it still as fast? Ratios against benchmarks/recorded.json, within a minute.
bench-check: $(SETUP)
	$(BIN)/python -m benchmarks.check

bench-record: $(SETUP)
	$(BIN)/python -m benchmarks.check --record

# Side by side with SCALE-Sim, which gets an environment of its own with the numpy of its days.
peer: $(SETUP) $(PEER)/.installed
	$(BIN)/python -m benchmarks.peers

$(PEER)/.installed: benchmarks/peers/requirements.txt
	$(PYTHON) -m venv $(PEER)
	$(PEER)/bin/python -m pip install --quiet --requirement $<
	touch $@

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

# Silero VAD's weights and model from their wheel, and speech from a Debian package where there is apt.
# With both the tests of tests/silero run, and docs/silero_vad.md is made again by the last line.
silero: $(SETUP)
	$(BIN)/python -m pip download --quiet --no-deps --require-hashes \
	    --requirement benchmarks/silero/wheel.txt --dest $(SILERO)
	$(BIN)/python -m zipfile -e $(SILERO)/silero_vad-6.2.3-py3-none-any.whl $(SILERO)
	@command -v apt-get dpkg >/dev/null && cd $(SILERO) && \
	    { apt-get download pocketsphinx-testdata && dpkg -x pocketsphinx-testdata_*.deb speech; } || \
	    echo "no Debian package of speech; the tests take /usr/share/sounds/alsa, or are skipped"
	@echo "spusim run $(SILERO)/silero_vad/data/silero_vad_16k.safetensors --network silero_vad" \
	    "--stream speech.wav --arch spu001"
	@echo "$(BIN)/python -m benchmarks.silero"

# Applies the worked example's patch in a worktree and runs every command of its page.
isa-example: $(SETUP)
	$(BIN)/python -m pytest tests/test_isa_example.py -m "slow or not slow"

$(SETUP): setup.cfg constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,torch,report,cluster]'
	touch $@

clean:
	rm -rf .venv out build dist tests/rtl/.cache .cache/bounds
