# docs/gpu-run.md has the commands. torch brings its own CUDA libraries; the driver is the host's.
FROM python:3.12-slim-bookworm
# gcc: torch.compile builds its kernels' launchers with it. Experiments are commits, so Git needs a name.
RUN apt-get update -q \
    && apt-get install -yq --no-install-recommends gcc git libc6-dev make \
    && rm -rf /var/lib/apt/lists/* \
    && git config --global user.name container && git config --global user.email container@localhost
ENV PIP_NO_CACHE_DIR=1 COPYWRITER_RUNS=/runs
WORKDIR /copywriter
# The packages are a layer of their own, which a change of code does not build again.
COPY Makefile requirements.txt constraints.txt ./
COPY tools/find_python.sh tools/
RUN make .venv/ready
COPY . .
RUN touch .venv/ready
CMD ["make", "demo"]
