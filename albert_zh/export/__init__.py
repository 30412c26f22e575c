"""A model as a file for another runtime, held against the Keras model before it is left anywhere."""
