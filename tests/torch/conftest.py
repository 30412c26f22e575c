"""Before transformers is imported: nothing here may reach for a network."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
