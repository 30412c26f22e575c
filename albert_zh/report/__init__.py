"""Finished runs to one self-contained page, report.html; no TensorFlow."""
