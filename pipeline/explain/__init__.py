"""Draw Grad-CAM maps of faces."""
