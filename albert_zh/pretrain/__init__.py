"""Raw text to pretraining records: documents, sentence-order pairs, masked words, TFRecord files."""
