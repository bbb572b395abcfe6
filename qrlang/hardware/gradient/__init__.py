"""Gradients on a device: its readouts as torch tensors, with slopes by parameter shift.

`shifts` is the rule of each gate, `gates` a circuit of the torch backend as steps of a device,
`session` the readouts of a forward pass, `qubits` what takes the place of a state vector,
`processor` the device behind it. This folder imports torch; the rest of `qrlang.hardware` does not.
"""
