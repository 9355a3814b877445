"""Run the four stages on synthetic faces, in a copy of the project."""
