# make demo    the whole pipeline on a small share of the embedded catalogue, without a GPU, in minutes
# make repro   the experiment of params.yaml, on a CUDA machine
# make compare  base and tuned side by side, from two revisions
# make gpu-run HOST=me@host   the same on another machine's GPU, over ssh; ARGS='--commit base tuned' (docs/gpu-run.md)
# make publish REPO=user/name   adapter and model card to a hub repository, private when new; HF_TOKEN in the environment
# make test    all tests;  make check   ruff and mypy;  make lock   dvc.lock against code and params
# make golden  the data stages and the base model from nothing: the hashes of dvc.lock
PYTHON ?= python3.11
export PATH := $(CURDIR)/.venv/bin:$(PATH)

# make servers  sshd and nginx from the system's packages, for the tests of remotes (Debian, as root)
.PHONY: servers demo repro gpu-run compare publish test check lock golden
.DEFAULT_GOAL := demo

# --no-compile: Python compiles a module at its first import, and most of those installed are never imported.
.venv/ready: requirements.txt constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/pip install -q --no-compile -r requirements.txt
	.venv/bin/python -m tools.plots_page
	touch $@

.venv/ready-dev: .venv/ready requirements-dev.txt
	.venv/bin/pip install -q --no-compile -r requirements-dev.txt
	touch $@

demo: .venv/ready
	python -m tools.demo

repro: .venv/ready
	python -m tools.time_estimate
	dvc repro

gpu-run: .venv/ready
	@test -n "$(HOST)" || { echo "gpu-run: which host? make gpu-run HOST=me@host"; exit 1; }
	python -m tools.gpu_run ssh $(HOST) $(ARGS)

compare: .venv/ready
	python -m tools.compare

publish: .venv/ready
	python -m tools.publish "$(REPO)" $(if $(PUBLIC),--public)

test: .venv/ready-dev
	OMP_NUM_THREADS=1 pytest -n 2 --dist loadfile --no-loadscope-reorder

golden: .venv/ready-dev
	pytest tests/test_golden.py

check: .venv/ready-dev
	ruff check .
	ruff format --check .
	mypy

lock: .venv/ready
	python -m tools.lock

servers:
	command -v /usr/sbin/sshd && command -v /usr/sbin/nginx || \
		{ apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends openssh-server nginx-light; }
