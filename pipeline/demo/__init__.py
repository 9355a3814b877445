"""Run all four stages on synthetic faces, in a copy of the project."""
