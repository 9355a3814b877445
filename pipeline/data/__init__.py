"""The decoded data set: its arrays, and what an audit of them finds."""
