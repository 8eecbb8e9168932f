"""What an operation of the event loop costs, loop by loop: ``python -m benchmarks.micro``."""
