"""A Customer.io sync on a laptop: exported, ingested through the functions, and checked against the truth."""
