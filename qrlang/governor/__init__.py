"""The governor: bounds within which training may change a model, and a record of how it did.

`behaviour` says in bits what a model does and how far an update would move it; `rule` decides
from those numbers alone; `sky` looks before a run starts; `ledger` keeps what was seen, each line
bound to the one before; `governed` wraps an optimiser, so that any of them can be governed.
Formulas and their reasons: docs/governor.md.
"""
