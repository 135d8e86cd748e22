# make demo | test | lint | check | docs | bench | clean
# PYTHON is the interpreter that makes .venv (3.11 or newer); PIP_ARGS goes to pip install.
PYTHON ?= python3
PIP_ARGS ?=
PYTEST_ARGS ?= -n 2
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help install demo test lint format check docs bench clean

help:
	@echo "make demo   install, then run the main job on real music with the bundled weights"
	@echo "make test   install, then lint and the whole test suite"
	@echo "make lint   ruff, mypy, import-linter"
	@echo "make check  test, docs and the build of the package"
	@echo "make docs   check that the documentation agrees with the program"
	@echo "make bench  time the tokenizer against published codecs on this machine"
	@echo "make clean  remove .venv and everything that was built"

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "BandTok needs Python 3.11 or newer; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) -c constraints.txt -e '.[train,evaluate,dev]'
	touch $@

demo: $(VENV)/.installed
	mkdir -p demo-output
	$(BIN)/bandtok reconstruct examples/audio -o demo-output --plot demo-output --overwrite
	$(BIN)/bandtok encode examples/audio -o demo-output --overwrite
	$(BIN)/bandtok generate "a calm piece with soft strings" -o demo-output/generated.wav \
		--save-tokens --overwrite
	@echo "The results lie in demo-output: audio (.wav), tokens (.btk) and pictures (.png)."

test: lint
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

check: test docs
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

docs: $(VENV)/.installed
	$(BIN)/python -m pytest tests/cli/test_docs.py

bench: $(VENV)/.installed
	$(BIN)/python -m benchmarks.codec_speed

clean:
	rm -rf $(VENV) build dist demo-output .mypy_cache .ruff_cache .pytest_cache \
		.import_linter_cache .hypothesis src/*.egg-info
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
