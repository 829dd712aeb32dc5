# The only commands that the README and continuous integration call.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
SAMPLES := src/mien/assets/samples

.PHONY: setup demo check test test-slow bench docs clean
.DEFAULT_GOAL := setup

setup: $(STAMP)

# torch first and alone: a CPU build offered by the machine's own configuration is then kept by the second line.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt "torch==2.13.0"
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[dev,synth,mediapipe]"
	touch $@

demo: setup
	mkdir -p demo
	$(BIN)/mien reenact $(SAMPLES)/source_1.jpg $(SAMPLES)/driver.mp4 -o demo/out.mp4 --grid
	@echo "The result is demo/out.mp4: source, driver and result side by side."

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/test_house.py

test: check
	$(BIN)/python -m pytest -q -m "(parity or not slow) and not gpu and not browser" --deselect tests/test_house.py

test-slow: setup
	$(BIN)/python -m pytest -q -m "slow"

bench: setup
	for file in benchmarks/speed/*.py benchmarks/memory.py; do $(BIN)/python $$file || exit 1; done

docs: setup
	$(BIN)/python -m pytest -q tests/test_docs.py

clean:
	rm -rf demo build dist src/*.egg-info
