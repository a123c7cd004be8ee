"""One metric a file, listed in copywriter/evaluation/registry.py.

A file defines METRIC (copywriter/evaluation/metric.py) and imports its libraries inside functions, so that stages which
only read scores start quickly.
"""
