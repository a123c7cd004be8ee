# make demo      run the whole pipeline on a few hundred generated products, without a GPU, in minutes
# make repro     run the experiment in params.yaml, on a CUDA machine
# make gpu-run HOST=me@host   run it on another machine's GPU over ssh; ARGS='--commit base tuned' (docs/gpu-run.md)
# make page      serve a page that asks base and tuned, for this machine's browser; ARGS='--port 8000'
# make compare   print base and tuned side by side, from two revisions
# make publish REPO=user/name   upload adapter and model card to a hub; a new repository is private; needs HF_TOKEN
# make test      run all tests
# make check     run ruff and mypy
# make lock      compare dvc.lock with code and params
# make relock    update dvc.lock after a code change that changes no output, proved by a replay without a GPU
# make golden    run the data stages and fetch_model in an empty checkout and compare their hashes with dvc.lock
# make servers   install sshd, nginx and Chromium for the tests of remotes and of the page (Debian, as root)
# make PYTHON=/path/to/python   take this interpreter for .venv; otherwise tools/find_python.sh looks for one
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: servers demo repro gpu-run page compare publish test check lock relock golden
.DEFAULT_GOAL := demo

# An environment that works is kept, also where a newer Python has appeared. --no-compile: Python compiles a module at
# its first import, and most of those installed are never imported.
.venv/ready: requirements.txt constraints.txt
	@.venv/bin/python -m pip --version >/dev/null 2>&1 || \
		{ python=$$(PATH="$${PATH#*:}" sh tools/find_python.sh "$(PYTHON)") && "$$python" -m venv --clear .venv; }
	.venv/bin/python -m pip install -q --no-compile -r requirements.txt
	touch $@

.venv/ready-page: .venv/ready requirements-page.txt
	.venv/bin/python -m pip install -q --no-compile -r requirements-page.txt
	touch $@

.venv/ready-dev: .venv/ready requirements-dev.txt requirements-page.txt
	.venv/bin/python -m pip install -q --no-compile -r requirements-dev.txt
	touch $@

demo: .venv/ready
	python -m tools.demo

repro: .venv/ready
	python -m tools.time_estimate
	dvc repro

gpu-run: .venv/ready
	@test -n "$(HOST)" || { echo "gpu-run: which host? make gpu-run HOST=me@host"; exit 1; }
	python -m tools.gpu_run ssh $(HOST) $(ARGS)

page: .venv/ready-page
	python -m copywriter.page $(ARGS)

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

relock: .venv/ready
	python -m tools.relock

servers:
	command -v /usr/sbin/sshd && command -v /usr/sbin/nginx && command -v chromium || \
		{ apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends \
			openssh-server nginx-light chromium fonts-dejavu-core; }
