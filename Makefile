# make demo | test | test-fast | mutants | lint | check | docs | bench | clean
# PYTHON is the interpreter that makes .venv (3.11 or newer); PIP_ARGS goes to pip install.
PYTHON ?= python3
PIP_ARGS ?=
PYTEST_ARGS ?= -n 2 --dist loadfile
VENV := .venv
BIN := $(VENV)/bin
# Weights of pretrained evaluators. The requirements of these packages are years old and not needed:
# their metadata is removed, so that `pip check` finds no conflicts.
EVALUATORS := musicnn aisfx

MINIMUMS := .venv-minimums
CHECK_PYTHON := $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	|| { echo "BandTok needs Python 3.11 or newer; set PYTHON=/path/to/python3.11" >&2; exit 1; }

.PHONY: help install demo test test-fast test-minimums mutants lint format check docs bench reliability clean

help:
	@echo "make demo   install what running needs (no torch), then run the main job on real music with"
	@echo "            the bundled weights"
	@echo "make test   install, then lint and the whole test suite"
	@echo "make test-fast  the test suite without the tests marked slow"
	@echo "make mutants  break the source on purpose, once per entry of tests/mutants.toml, and"
	@echo "            expect the tests to fail"
	@echo "make test-minimums  the core's tests with the oldest dependencies that are allowed"
	@echo "make lint   ruff, mypy, import-linter"
	@echo "make check  test, docs and the build of the package"
	@echo "make docs   check that the documentation agrees with the program, and build it as a site"
	@echo "make bench  time the tokenizer against published codecs on this machine"
	@echo "make reliability  the long checks: fuzzing, kills, bad input, equality, hours of music"
	@echo "make clean  remove the environments and everything that was built"

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(CHECK_PYTHON)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) -c constraints.txt -e '.[torch,export,data,plot,hub,mcp,serve,text,train,evaluate,rendered,dev]'
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) -c constraints.txt --no-deps $(EVALUATORS)
	rm -rf $(foreach name,$(EVALUATORS),$(VENV)/lib/python*/site-packages/$(name)-*.dist-info)
	touch $@ $(VENV)/.core

demo: $(VENV)/.core
	mkdir -p demo-output
	$(BIN)/bandtok reconstruct examples/audio -o demo-output --plot demo-output --overwrite
	$(BIN)/bandtok encode examples/audio -o demo-output --overwrite
	$(BIN)/bandtok generate "a calm piece with soft strings" -o demo-output/generated/strings.wav \
		--save-tokens --overwrite
	$(BIN)/bandtok report --ab examples/audio --duration 12 --generated demo-output/generated \
		--output demo-output/index.html \
		--title "BandTok demo" --overwrite
	@echo "Open demo-output/index.html: originals beside their reconstructions, and a generated clip."
	@echo "Audio, tokens (.btk) and pictures (.png) are in demo-output/ and demo-output/generated/."

# What a user needs: the core, and pictures. `install` adds the rest to the same environment.
$(VENV)/.core: pyproject.toml constraints.txt
	@$(CHECK_PYTHON)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	test -e $(VENV)/.installed || $(BIN)/python -m pip install --quiet $(PIP_ARGS) -c constraints.txt -e '.[plot]'
	touch $@

test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PYTEST_ARGS)

test-fast: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" $(PYTEST_ARGS)

mutants: $(VENV)/.installed
	$(BIN)/python tools/run_mutants.py

# Only what needs no extra: the libraries of the extras are not installed there.
test-minimums: $(MINIMUMS)/.installed
	OMP_NUM_THREADS=1 $(MINIMUMS)/bin/python -m pytest -q -p no:cacheprovider \
		tests/test_conformance.py tests/test_errors.py tests/tokens/test_token_file.py \
		tests/stereo/test_pan.py tests/stereo/test_spread.py tests/signal/test_rumble_filter.py \
		tests/cli/test_program.py tests/cli/test_batch.py tests/cli/test_info.py
	$(MINIMUMS)/bin/bandtok golden
	$(MINIMUMS)/bin/bandtok reconstruct examples/audio -o $(MINIMUMS)/decoded --overwrite

$(MINIMUMS)/.installed: pyproject.toml constraints-min.txt
	test -x $(MINIMUMS)/bin/python || $(PYTHON) -m venv $(MINIMUMS)
	$(MINIMUMS)/bin/python -m pip install --quiet $(PIP_ARGS) -c constraints-min.txt -e . pytest hypothesis
	touch $@

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
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) -c constraints.txt -e '.[docs]'
	$(BIN)/python -m pytest tests/cli/test_docs.py tests/test_documented_commands.py tests/test_glossary.py
	$(BIN)/codespell README.md CHANGELOG.md CONTRIBUTING.md docs/*.md
	$(BIN)/zensical build --strict --clean
	@echo "Open site/index.html, or run: $(BIN)/zensical serve"

bench: $(VENV)/.installed
	$(BIN)/python -m research.benchmarks.codec_speed
	$(BIN)/python -m research.benchmarks.generation_speed

reliability: $(VENV)/.installed
	$(BIN)/python -m research.reliability.equality --cases 525 --model debug --max-seconds 30 \
		--write docs/reliability/equality-debug.md
	$(BIN)/python -m research.reliability.equality --cases 105 --seed 1 --max-seconds 15 \
		--write docs/reliability/equality-bundled.md
	$(BIN)/python -m research.reliability.numerics --write docs/reliability/numerics.md
	$(BIN)/python -m research.reliability.fuzz_reader --inputs 1000000 --write docs/reliability/fuzz-reader.md
	$(BIN)/python -m research.reliability.fuzz_audio --inputs 20000 --write docs/reliability/fuzz-audio.md
	$(BIN)/python -m research.reliability.bad_input --write docs/reliability/bad-input.md
	$(BIN)/python -m research.reliability.kills --kills 200 --write docs/reliability/kills.md
	$(BIN)/python -m research.reliability.long_input --hours 3 --write docs/reliability/long-input.md

clean:
	rm -rf $(VENV) $(MINIMUMS) build dist demo-output .mypy_cache .ruff_cache .pytest_cache \
		.import_linter_cache .hypothesis src/*.egg-info
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
