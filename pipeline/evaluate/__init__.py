"""Stage 4: score the trained model, draw the figures, write the report."""
