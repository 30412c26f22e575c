"""Text to token ids: tokenizers, words, packing, vocabulary; no TensorFlow."""
