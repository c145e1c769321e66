# The targets of this repository: `make help` lists them.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CORPUS ?=
BENCH ?=
# Where torch comes from, if not from PyPI, whose wheels for Linux bring gigabytes of CUDA:
# make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
WORKERS ?= auto

SOURCES := pyproject.toml Cargo.toml Cargo.lock bpe-rs/Cargo.toml $(shell find bpe-rs/src -name '*.rs')
PACKAGES := .ci pytok gpt benches docs/conf.py docs/generate docs/learn examples tests

# A worker per core takes whole tests of others when it is done; each has one thread (tests/conftest.py).
PYTEST = $(BIN)/python -m pytest --quiet --numprocesses $(WORKERS) --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help demo demo-chat test test-all lint format bench pictures notebooks docs wheel wheel-test clean

help: ## list the targets
	@awk -F ':.*## ' '/^##@ / { printf "\n%s\n", substr($$0, 5) } /^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Try it

demo: $(VENV)/.installed-gpt ## text -> tokenizer -> GPT -> samples, in minutes; CORPUS=my.txt for your own text
	@PATH="$(abspath $(BIN)):$$PATH" bash examples/demo.sh "$(CORPUS)"

demo-chat: $(VENV)/.installed-gpt ## a made-up chat -> a model of one person, in minutes; then talk with it
	@mkdir -p demo
	$(BIN)/pytok chat example -o demo/chat.txt --messages 5000
	$(BIN)/gpt clone demo/chat.txt --me Mara --out demo/clone --seconds 120

##@ Check a change

test: $(VENV)/.installed-dev ## all fast tests: Rust, Python, doctests
	cargo test --workspace --quiet
	$(PYTEST) --doctest-modules tests pytok gpt

test-all: $(VENV)/.installed-dev ## the fast tests, the slow ones, and thorough fuzzing
	PROPTEST_CASES=20000 cargo test --workspace --quiet --release -- --include-ignored
	HYPOTHESIS_PROFILE=thorough $(PYTEST) -m "not gpu" --doctest-modules tests pytok gpt

lint: $(VENV)/.installed-dev ## formatting, lints and types, Rust and Python
	$(BIN)/ruff format --check $(PACKAGES)
	$(BIN)/ruff check $(PACKAGES)
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest pytok._native
	cargo fmt --check
	PYO3_PYTHON=$(abspath $(BIN)/python) cargo clippy --workspace --all-targets --all-features --quiet -- -D warnings

format: $(VENV)/.installed-dev ## format everything, fix what can be fixed
	$(BIN)/ruff check --fix $(PACKAGES)
	$(BIN)/ruff format $(PACKAGES)
	cargo fmt

bench: $(VENV)/.installed-dev ## speed beside other libraries; BENCH="--quick FILE..." for less, or your own text
	$(BIN)/python -m benches $(BENCH)

pictures: $(VENV)/.installed-dev ## docs/images, from recorded terminals and docs/benchmarks.md
	$(BIN)/python -m examples.pictures.terminal
	$(BIN)/python -m examples.pictures.speed

notebooks: $(VENV)/.installed-dev ## the chapters of docs/learn as notebooks, in build/notebooks
	$(BIN)/python docs/learn/notebooks.py

docs: $(VENV)/.installed-docs ## the documentation site, in docs/_build/html
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --nitpicky docs docs/_build/html
	@echo "open docs/_build/html/index.html"

clean: ## remove everything that the other targets made
	rm -rf $(VENV) demo target build dist docs/_build docs/project docs/reference pytok/_native*.so

##@ Package

wheel: $(VENV)/.installed-dev ## dist/: the source distribution, and a wheel built from it for this machine
	rm -rf dist
	$(BIN)/python -m pip install --quiet --disable-pip-version-check build twine
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*

wheel-test: wheel ## the tests of that wheel, where there are neither these sources nor Rust
	$(BIN)/python .ci/wheel_test.py dist/*.whl

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "pytok needs Python 3.10 or newer; choose one: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "pytok needs Python 3.10 or newer, and $(PYTHON) is older; choose another: make PYTHON=python3.12"; exit 1; }
	@command -v cargo >/dev/null || { echo "pytok needs a Rust toolchain: https://rustup.rs"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Alone, since torch's index has few other packages; what follows then finds torch installed.
torch-from-index = $(if $(TORCH_INDEX),$(BIN)/python -m pip install --quiet --disable-pip-version-check --index-url $(TORCH_INDEX) torch)

$(VENV)/.installed-gpt: $(VENV)/bin/python $(SOURCES)
	@echo "installing pytok, PyTorch and their dependencies into $(VENV): some minutes the first time"
	$(torch-from-index)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[data,gpt,report]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/bin/python $(SOURCES)
	@echo "installing pytok and its test dependencies into $(VENV): some minutes the first time"
	$(torch-from-index)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/.installed-gpt

$(VENV)/.installed-docs: $(VENV)/bin/python $(SOURCES)
	@echo "installing pytok, PyTorch and the documentation generator into $(VENV): some minutes the first time"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@ $(VENV)/.installed-gpt
