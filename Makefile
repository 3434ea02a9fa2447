# Everything a person runs starts here; each target says what it needs.
PYTHON ?= python3
CORES ?= all
CONFIG ?= config.yaml
MANIFEST ?= figures/MANIFEST.json
REPORT ?= results/report.html
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# OpenBLAS and OpenMP change bits with their thread count: one each, jobs are the parallelism.
export OPENBLAS_NUM_THREADS := 1
export OMP_NUM_THREADS := 1
export MKL_NUM_THREADS := 1

.DEFAULT_GOAL := help
.PHONY: help env develop cluster-env figures smoke test test-slow test-cluster coverage torture fuzz \
  lint docs reference report gallery bench published manifest verify archive clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

env: $(VENV)/run.stamp ## set up .venv from envs/requirements.lock

develop: $(VENV)/develop.stamp ## the same environment with what tests and linters need

cluster-env: $(VENV)/cluster.stamp ## add to it what submits jobs to Slurm and other schedulers

figures: env ## run the workflow on config.yaml: results/ and figures/
	$(BIN)/descentflow run --cores $(CORES)

smoke: env ## the same workflow at toy sizes, in about a minute
	$(BIN)/descentflow run --cores $(CORES) --configfile config/smoke.yaml

# Kernels are compiled before the tests' processes start, which would all compile the same.
PYTEST := $(BIN)/descentflow warm-up && $(BIN)/python -m pytest $(if $(CI),--durations=30)

test: develop ## linters, type checks and the tests that take some minutes in all
	$(MAKE) --no-print-directory lint
	$(PYTEST) -m "not slow"

test-slow: develop ## the other tests: documentation, archives, kills, processors; about as long again
	$(PYTEST) -m slow
	@command -v slurmctld > /dev/null || \
	  echo "Slurm is not installed: the tests on a cluster were left out (make test-cluster)"

# All injected faults are one fixture, so the first test that uses it takes as long as all of them.
test-cluster: develop cluster-env ## start a real Slurm here (as root), inject faults, compare digests
	TEST_CLUSTER=1 $(BIN)/python -m pytest -n 0 -o faulthandler_timeout=2700 tests/cluster

# Kernels do not count: Numba runs them outside of Python.
coverage: develop ## both kinds of tests, and the lines of src/ that they run
	rm -rf results/coverage
	$(BIN)/python -m coverage run -m pytest
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

torture: develop ## kill the toy workflow 200 times at random moments and compare its bytes
	cd tests/workflow && ../../$(BIN)/python torture.py

fuzz: develop ## a hundred thousand configurations gone wrong, each valid or told what is wrong
	DESCENTFLOW_FUZZ=100000 $(BIN)/python -m pytest -o faulthandler_timeout=0 tests/unit/config/test_fuzz.py

lint: develop
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/mypy
	$(BIN)/snakemake --lint

reference: env ## write config/schema.json and docs/configuration.md, made from the models
	$(BIN)/descentflow schema > config/schema.json
	$(BIN)/descentflow reference > docs/configuration.md

# Snakemake writes the file piece by piece: it gets its name when it is whole.
report: $(VENV)/report.stamp ## the workflow, then results/report.html: figures, claims, run times in one file
	$(BIN)/descentflow run --cores $(CORES) --configfile $(CONFIG)
	@mkdir -p $(dir $(REPORT))
	$(BIN)/descentflow run --cores 1 --configfile $(CONFIG) --report $(REPORT:.html=.part.html)
	@mv -f $(REPORT:.html=.part.html) $(REPORT)
	@echo "$(REPORT): open it in a browser; on these pages networks move:"
	@$(BIN)/descentflow animate $(CONFIG)

# The network is not needed, and opening results/docs/index.html does not need it either.
docs: develop ## build the documentation into results/docs, warnings are errors
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet \
	  --doctree-dir results/.doctrees docs results/docs
	@echo "results/docs/index.html"

gallery: develop figures ## the README's pictures and count of claims, docs/claims.md, with Graphviz the rules
	$(BIN)/python docs/_site/gallery.py results figures
	cp figures/claims.svg docs/gallery/claims.svg
	$(BIN)/descentflow claims-page
	! command -v dot > /dev/null || $(BIN)/descentflow run --rulegraph dot 2> /dev/null \
	  | sed 's/margin=0/margin=0, rankdir=LR/; s/fontname=sans/fontname="DejaVu Sans"/' \
	  | dot -Tsvg -o docs/gallery/rules.svg

bench: $(VENV)-peers/run.stamp env ## kernels against their peers, how cost grows, and what the estimate is worth
	$(BIN)/python benchmarks/descent.py
	$(BIN)/python benchmarks/optimizers.py
	$(BIN)/python benchmarks/deep.py
	$(BIN)/python benchmarks/smooth.py
	$(BIN)/python benchmarks/points.py
	$(BIN)/python benchmarks/flow.py
	$(BIN)/python benchmarks/gram.py
	$(BIN)/python benchmarks/planning.py
	$(BIN)/python benchmarks/growth.py --figure benchmarks/growth.png
	@mkdir -p results
	$(BIN)/python benchmarks/calibrate.py --output results/calibration.json
	$(BIN)/python benchmarks/estimate.py --calibration results/calibration.json

published: env ## experiments of other papers beside their published numbers: docs/published.md
	for file in config/published/*.yaml; do \
	  $(BIN)/descentflow run --cores $(CORES) --configfile $$file || exit 1; \
	done

manifest: env ## write figures/MANIFEST.json: digests of datasets, figures and claims
	$(BIN)/descentflow run --cores $(CORES) --configfile $(CONFIG)
	$(BIN)/descentflow manifest $(CONFIG) --manifest $(MANIFEST)

# From scratch and without a cache, into a folder of its own.
verify: env ## recompute everything into results/verify, compare with figures/MANIFEST.json
	@test -f $(MANIFEST) || { echo "$(MANIFEST): there is none; make manifest writes it"; exit 1; }
	rm -rf results/verify
	env -u DESCENTFLOW_CACHE $(BIN)/descentflow run --cores $(CORES) --configfile $(CONFIG) \
	  --config 'outputs={results: results/verify, figures: results/verify/figures}'
	$(BIN)/descentflow compare $(CONFIG) --manifest $(MANIFEST) \
	  --results results/verify --figures results/verify/figures

archive: env ## one file with results, figures, sources and how they were made
	$(BIN)/descentflow run --cores $(CORES) --configfile $(CONFIG) -- everything
	$(BIN)/descentflow archive $(CONFIG)

clean: ## remove results and figures, keep the environment
	rm -rf results figures/*.pdf figures/*.svg figures/*.png figures/smoke .snakemake

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "descentflow needs Python 3.11 or newer; set PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: envs/requirements.lock envs/build.lock pyproject.toml | $(BIN)/python
	@echo "installing what envs/requirements.lock lists into $(VENV), once: about 1 GB, some minutes"
	$(INSTALL) --require-hashes --requirement envs/requirements.lock --requirement envs/build.lock
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/develop.stamp: envs/develop.lock $(VENV)/run.stamp
	$(INSTALL) --require-hashes --requirement envs/develop.lock
	@touch $@

$(VENV)/report.stamp: envs/report.lock $(VENV)/run.stamp
	$(INSTALL) --require-hashes --requirement envs/report.lock
	@touch $@

$(VENV)/cluster.stamp: envs/cluster.lock $(VENV)/run.stamp
	$(INSTALL) --require-hashes --requirement envs/cluster.lock
	@touch $@

PEERS_INSTALL := $(VENV)-peers/bin/python -m pip install --quiet --disable-pip-version-check

$(VENV)-peers/run.stamp: benchmarks/requirements.lock benchmarks/torch.lock
	$(PYTHON) -m venv $(VENV)-peers
	$(PEERS_INSTALL) --require-hashes --requirement benchmarks/requirements.lock
	$(PEERS_INSTALL) --no-deps --require-hashes --requirement benchmarks/torch.lock || \
	  echo "PyTorch's CPU build was not found (see benchmarks/torch.lock): its rows are left out"
	@touch $@
