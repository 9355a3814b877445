"""What verify looks at: scores, the record in MLflow, the recipes' networks; and how far each number may differ."""
