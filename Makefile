# Vigie: `make run` and `make test` are all it takes; `make help` lists the rest.
PYTHON ?= python3
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
PORT ?= 8501
MLFLOW_PORT ?= 5000
FUZZ_ROUNDS ?= 10
VENV := .venv
RELEASE_VENV := build/release
BIN := $(VENV)/bin
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help install run test fuzz lint types check bench bench-sgmvrnn bench-images locales lock audit sbom clean

help: ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 16

install: $(VENV)/.installed ## make .venv and install what the product needs

# torch comes first and alone: the CPU build where that index is reachable, else whatever the package index has
$(VENV)/.installed: requirements.txt
	$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info < (3, 14), f"Python 3.11, 3.12 or 3.13 is needed, this is {sys.version}"'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check --retries 0 --no-deps --index-url $(TORCH_INDEX) "$$(grep '^torch==' requirements.txt)" \
	  || echo "The CPU build of torch is not to be had from $(TORCH_INDEX). The package index decides which build is installed."
	$(BIN)/pip install -q --disable-pip-version-check "$$(grep '^torch==' requirements.txt)"
	$(BIN)/pip install -q --disable-pip-version-check -r requirements.txt
	$(BIN)/python -c 'import torch; cuda = torch.version.cuda; print(f"torch {torch.__version__}:", f"a build for CUDA {cuda}, which needs several gigabytes more than the one for processors" if cuda else "for processors")'
	touch $@

$(VENV)/.tested: $(VENV)/.installed requirements-dev.txt
	$(BIN)/pip install -q --disable-pip-version-check -r requirements-dev.txt
	touch $@

run: $(VENV)/.installed ## start the MLflow server and the app; Ctrl-C ends both
	@PORT=$(PORT) MLFLOW_PORT=$(MLFLOW_PORT) $(BIN)/python -m core serve

test: $(VENV)/.tested ## install what the tests need and run them all
	$(BIN)/python -m tests.support.chromium
	$(BIN)/python -m tests.support.servers
	$(BIN)/python -m pytest -n auto --dist loadscope --no-loadscope-reorder

fuzz: $(VENV)/.tested ## property tests with new random examples, FUZZ_ROUNDS times (10)
	for round in $$(seq $(FUZZ_ROUNDS)); do $(BIN)/python -m pytest -n auto --dist loadscope -m hypothesis --hypothesis-profile "new examples" || exit 1; done

lint: $(VENV)/.tested ## ruff: errors, imports, names, docstrings, format of the code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.tested ## mypy, strict on all but tests and benchmarks
	$(BIN)/mypy

check: lint types test ## everything that has to pass

bench: $(VENV)/.tested ## ratios against plain libraries, both sides in one run
	$(BIN)/python -m benchmarks

bench-sgmvrnn: $(VENV)/.tested ## speed of SGmVRNN beside plain torch, then its accuracy on labelled servers (half an hour)
	$(BIN)/python -m benchmarks sgmvrnn sgmvrnn_accuracy

bench-images: $(VENV)/.tested ## image detectors on MNIST, one class against the rest (hours; goes on where it was stopped)
	$(BIN)/python -m benchmarks.images $(BENCH_IMAGES)

# Texts: singular or singular and plural. After a trailing comma, Babel counts one argument more.
KEYWORDS := "N_:1,1t N_:1,2,2t N_:1,2,3t _:1,1t _:1,2,3t _:1,2,4t"

locales: $(VENV)/.installed ## collect the texts of the code into locales/ and keep the translations
	$(BIN)/pybabel -q extract -F locales/babel.cfg -k $(KEYWORDS) --no-location --sort-output --width=120 --project Vigie -o locales/vigie.pot .
	$(BIN)/pybabel -q update --width=120 -D vigie -i locales/vigie.pot -d locales --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date

$(RELEASE_VENV)/.installed: requirements-release.txt
	$(PYTHON) -m venv $(RELEASE_VENV)
	$(RELEASE_VENV)/bin/pip install -q --disable-pip-version-check -r requirements-release.txt
	touch $@

# torch is left out: its build depends on the machine. The index of its CPU build keeps the libraries of CUDA out.
lock: $(RELEASE_VENV)/.installed ## write requirements.lock: every library with the hashes of its files
	$(RELEASE_VENV)/bin/pip-compile -q --generate-hashes --strip-extras --unsafe-package torch --no-header \
	  --extra-index-url $(TORCH_INDEX) --no-emit-options --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
	  --output-file requirements.lock requirements.txt

audit: $(RELEASE_VENV)/.installed ## look for published vulnerabilities of the libraries in requirements.lock
	$(RELEASE_VENV)/bin/pip-audit --disable-pip --require-hashes -r requirements.lock

sbom: $(RELEASE_VENV)/.installed $(VENV)/.installed ## write build/vigie.cdx.json: a bill of materials (CycloneDX) of .venv
	$(RELEASE_VENV)/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-format JSON \
	  --output-file build/vigie.cdx.json $(BIN)/python

clean: ## remove .venv and caches, never the data folder
	rm -rf $(VENV) $(RELEASE_VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
