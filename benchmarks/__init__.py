"""The benchmarks.

``python -m benchmarks.run`` measures HTTP, ``python -m benchmarks.micro`` the loop.
"""
