"""``python -m fastaio`` and what it is made of."""
