"""Names that other projects hard-code, given by fastaio; each is opt-in."""
