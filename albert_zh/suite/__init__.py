"""Many tasks with one command: what is to be run, running it, and what came of it."""
