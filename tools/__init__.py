"""What building fastaio takes beside setuptools."""
