"""The same application for each contender; :mod:`benchmarks.workloads` says what it must answer."""
