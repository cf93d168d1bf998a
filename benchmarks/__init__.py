"""Side-by-side measurements against peers; not part of the tests. `python -m benchmarks.lowrank` and so on."""
