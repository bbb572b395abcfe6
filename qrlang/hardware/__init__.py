"""Models on quantum devices: the closed loop, whoever's the device is.

`device` is what a vendor's side provides, `lane` one sequence on the host, `loop` all of them
together, `preflight` what it will cost. Nothing here imports a vendor's SDK.
"""
