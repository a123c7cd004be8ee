"""A full run on a GPU host, one command: the data stages here, training and scores there, the results home.

    python -m tools.gpu_run ssh me@host        # all of it, over ssh: make gpu-run HOST=me@host
    python -m tools.gpu_run pack run.tgz       # or its parts, for a host that takes files and commands in another way
    tar xzf run.tgz && sh start.sh             # there
    python -m tools.gpu_run home home.tgz      # here again, with what came back

docs/gpu-run.md says what is carried and what is checked.
"""
