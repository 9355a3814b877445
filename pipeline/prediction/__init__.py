"""A trained network at work on pictures, videos and cameras: finding faces, answering, drawing."""
