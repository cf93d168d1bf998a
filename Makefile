# `make run` and `make test` do everything on a machine that has only Python >= 3.11.
PYTHON ?= python3
BIN := .venv/bin
# Half as many again as there are cores: some of their time tests wait for processes that they began.
WORKERS = $(shell $(BIN)/python -c 'import os; print(3 * len(os.sched_getaffinity(0)) // 2 if hasattr(os, "sched_getaffinity") else os.cpu_count())')

# A third of what is installed: tests of libraries, and parts of them that nothing here imports.
UNUSED := /(tests?|rllib|sandbox)/|/(pip|mypyc?|setuptools|skimage|graphql|cfnlint|networkx|aws_xray_sdk|torch/(testing|_inductor|onnx)|numpy/distutils|onnx/reference|sympy/physics|numba/cuda|triton/(experimental|profiler|tools)|huggingface_hub/(inference|cli)|statsmodels/(tsa|datasets)|pygments/lexers|ray/(serve|tune|data|train|air|llm|dashboard/modules)|moto/(?!core|s3|moto_|iam|sts|utilities)[a-z0-9]+)/

# Plugins by name: pytest compiles all of a library that it finds one in anew, in each process, and Hypothesis is large.
PYTEST := PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 OMP_NUM_THREADS=1
PARALLEL = -p xdist -p _hypothesis_pytestplugin --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: run test test-all test-lowest check lint types audit clean
.DELETE_ON_ERROR:

run: .venv/installed
	$(BIN)/lrbench run quick --out runs/quick

test check: .venv/installed-dev lint types
	$(PYTEST) $(BIN)/python -m pytest $(PARALLEL) -m "not slow"

# All of them, those that take minutes as well.
test-all: .venv/installed-dev lint types
	$(PYTEST) $(BIN)/python -m pytest $(PARALLEL)

# With the lowest versions that pyproject.toml allows of all that it names; Python 3.11 or 3.12, for which they have wheels.
test-lowest: .venv/lowest/installed
	$(PYTEST) .venv/lowest/bin/python -m pytest $(PARALLEL) -m "not slow"

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/installed-dev
	MYPY_NUM_WORKERS=2 $(BIN)/mypy

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "lrbench needs Python 3.11 or newer; set PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

# By uv, which takes a minute where pip takes five, and compiled by all cores: tests begin many processes, which may not be
# allowed to keep what they compile.
.venv/installed-dev: pyproject.toml .ci/uv | .venv/bin/python
	$(BIN)/python -m pip install --quiet --no-compile 'uv>=0.5'
	$(BIN)/python .ci/uv pip install --quiet --editable '.[dev]'
	@# With its dependencies torchattacks would bring requests 2.25, which has known vulnerabilities, and adv-lib visdom.
	$(BIN)/python .ci/uv pip install --quiet --no-deps 'torchattacks>=3.5.1' 'adv-lib>=0.2.8'
	-$(BIN)/python -m compileall -qq -j 0 -x '$(UNUSED)' .venv/lib lrbench attacks
	touch .venv/installed $@

.venv/lowest/installed: pyproject.toml .ci/uv | .venv/installed-dev
	$(PYTHON) -m venv --clear .venv/lowest
	$(BIN)/python .ci/uv pip install --quiet --python .venv/lowest/bin/python --resolution lowest-direct --editable '.[dev]'
	$(BIN)/python .ci/uv pip install --quiet --python .venv/lowest/bin/python --no-deps torchattacks==3.5.1 adv-lib==0.2.8
	touch $@

# Needs the network: asks for known vulnerabilities of everything that the tests install.
audit: .venv/installed-dev
	$(PYTHON) -m venv .venv/audit
	.venv/audit/bin/python -m pip install --quiet pip-audit
	$(BIN)/python -m pip freeze --exclude-editable > .venv/installed.txt
	.venv/audit/bin/pip-audit --no-deps --disable-pip -r .venv/installed.txt

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
