"""Networks: tensors in, tensors out; no patients, files or training here."""
