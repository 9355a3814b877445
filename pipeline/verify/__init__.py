"""Score the committed models again and compare with results/."""
