"""What a comparison of runs is made of: finding them, statistics, pictures, and the page."""
