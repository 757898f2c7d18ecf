"""Measure the ingestor beside plain SQL and beside its peers. Nothing here is deployed."""
