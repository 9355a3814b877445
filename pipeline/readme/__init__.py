"""Write the tables of README.md and docs/ from results/."""
