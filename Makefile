# Every target sets up what it needs in .venv; nothing else has to be installed but Python >= 3.11.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: test lint clean

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable ".[keras,plot,dev]"
	@touch $@

test: .venv/ready
	$(BIN)/python -m pytest

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf .venv out dist build
