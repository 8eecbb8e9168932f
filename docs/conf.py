"""Sphinx's settings for these pages: `python -m sphinx -n -W docs build/docs`."""

project = "fastaio"
