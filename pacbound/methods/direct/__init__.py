"""Direct coding: the weights of a trained network themselves, quantized and coded, without a subspace."""
