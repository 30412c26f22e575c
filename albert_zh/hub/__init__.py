"""Where published models and data sets are, and how they come here: catalogue, download, unpacking."""
