# Every target sets up what it needs in .venv; nothing else has to be installed but Python >= 3.11.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready

# Else the first process to need a kernel compiles it, alone.
WARM = $(BIN)/rbig-numba warm

.PHONY: demo test test-bounds test-backends lint bench quality clean

# The same on a person's own data: make demo TABLE=my.csv
demo: $(READY)
	@$(WARM)
	@$(BIN)/python -m examples.demo --out out $(if $(TABLE),--table "$(TABLE)")

# Processes of their own: TensorFlow and Dask stay out of the engine's, so that a hidden import of
# them can't go unseen.
ENGINE := tests $(foreach part,backends cluster export,--ignore=tests/$(part))
# Two processes of two BLAS threads each wait for each other: small matrices take 40 times as long.
test test-bounds test-backends: export OPENBLAS_NUM_THREADS = 1
test: $(READY)
	@$(WARM) --quiet
	@$(BIN)/python -m pytest $(ENGINE) -n 2
	@$(BIN)/python -m pytest tests/cluster
	@$(BIN)/python -m pytest tests/export

# Kernels once more, every index checked, on their own and in fits of all kinds of tables. What
# looks at compiled code stays out, and so does what is no kernel's: doors, files, the command line.
BOUNDS := tests/kernels $(foreach name,affine bijections binning coupling estimator far fit_more \
	fuzz growth ica inputs radial sliced statistics whitening,tests/test_$(name).py)
test-bounds: export NUMBA_BOUNDSCHECK = 1
test-bounds: $(READY)
	@$(WARM) --quiet
	@$(BIN)/python -m pytest $(BOUNDS) -n 2 -m "not slow" \
		$(foreach name,assembly cache jit,--ignore=tests/kernels/test_$(name).py)

# One process per backend of Keras: it is chosen at import.
test-backends: $(READY)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[backends]'
	@for backend in tensorflow jax torch; do \
		echo "Keras on $$backend"; \
		KERAS_BACKEND=$$backend JAX_ENABLE_X64=1 $(BIN)/python -m pytest tests/backends || exit 1; \
	done

lint: $(READY)
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

# Takes half an hour, best with nothing else running. DATA=folder of .npy tables adds EM's quality.
BENCHMARKS := kernels em joint student columns fit scale startup flow
bench: $(READY)
	@$(BIN)/python -m benchmarks.kernels --json out/kernels.json
	@$(BIN)/python -m benchmarks.em --json out/em.json $(if $(DATA),--data "$(DATA)")
	@$(BIN)/python -m benchmarks.joint --json out/joint.json
	@$(BIN)/python -m benchmarks.student --json out/student.json
	@$(BIN)/python -m benchmarks.columns --json out/columns.json
	@$(BIN)/python -m benchmarks.fit --json out/fit.json
	@$(BIN)/python -m benchmarks.scale --json out/scale.json
	@$(BIN)/python -m benchmarks.startup --json out/startup.json
	@$(BIN)/python -m benchmarks.flow --json out/flow.json
	@$(BIN)/python -m benchmarks.readme $(BENCHMARKS:%=out/%.json)

# Takes two hours: every estimator on every table, those of DATA=folder among them, and then every
# rule for far rows on some of these. out/quality.json keeps what is not measured again.
quality: $(READY)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[bench]'
	@$(BIN)/python -m benchmarks.quality $(if $(DATA),--data "$(DATA)") --ablation \
		--json out/quality.json --page docs/quality.md
ifdef DATA
	@$(BIN)/python -m benchmarks.tails --data "$(DATA)" --page docs/tails.md
	@$(BIN)/python -m benchmarks.missing --data "$(DATA)" --page docs/missing.md
	@$(BIN)/python -m benchmarks.fine_tuning --data "$(DATA)" --page docs/fine_tuning.md
endif

clean:
	@rm -rf .venv out build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	@find . -name __pycache__ -prune -exec rm -rf {} +

$(READY): pyproject.toml
	@echo "Setting up .venv (once, one to three minutes) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[plot,dev]'
	@touch $@
