"""Numbers, affine sums and observables, without a program around them."""
