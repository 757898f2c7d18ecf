"""Take Customer.io's parquet exports from a landing container into a warehouse, in order, exactly once."""
