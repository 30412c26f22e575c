"""A server for models: a JSON API and a page to try them."""
