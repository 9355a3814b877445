"""Stage 2: decode the archive into arrays, and audit them."""
