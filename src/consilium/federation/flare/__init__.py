"""The one place that knows NVIDIA FLARE: kits, jobs, processes and the engine port on it.

`kits`, `jobs`, `processes` and `engine` do not import FLARE, so hub and node
stay small; everything else runs inside FLARE's own processes.
"""
