"""Devices of the Qiskit world: Aer, with or without a device's noise, and IBM's by the runtime.

Names: `aer`; `fake_manila` and the other snapshots of qiskit-ibm-runtime; `ibm_…` for a backend of
the account, `ibm` for the one with the shortest queue.
"""

from __future__ import annotations

from qrlang.backends.qiskit import ibm
from qrlang.backends.qiskit.aer import Aer
from qrlang.hardware.device import Device, DeviceError, DeviceOptions


def open_device(name: str, options: DeviceOptions | None = None) -> Device:
    options = options or DeviceOptions()
    try:
        import qiskit
        import qiskit_aer
    except ImportError as error:
        raise DeviceError(f"this needs {error.name}", "pip install 'qrlang[qiskit]'") from None
    del qiskit, qiskit_aer
    if name in ("aer", ""):
        return Aer(options)
    return ibm.open_device(name, options)
