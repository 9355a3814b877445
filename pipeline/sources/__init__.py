"""Where faces come from: archives of the two layouts, the web, and the drawn faces."""
