"""Braket's devices by name."""

from __future__ import annotations

from qrlang.diagnostics.words import suggestion
from qrlang.hardware.device import Device, DeviceError, DeviceOptions

LOCAL = ("braket_sv", "braket_dm")


def open_device(name: str, options: DeviceOptions | None = None) -> Device:
    options = options or DeviceOptions()
    try:
        import braket.circuits  # noqa: F401
    except ImportError as error:
        raise DeviceError(
            "the Amazon Braket SDK is not installed", "pip install 'qrlang[braket]'"
        ) from error
    if name in LOCAL:
        from qrlang.backends.braket.local import LocalDevice
        from qrlang.backends.braket.noise import gate_noise

        return LocalDevice(name, gate_noise(options.noise))
    if name.startswith("arn:"):
        if options.noise:
            raise DeviceError(
                f"`{name}` has noise of its own", f"--device braket_dm --noise {options.noise}"
            )
        from qrlang.backends.braket.aws import open_aws

        return open_aws(name)
    raise DeviceError(
        f"Braket has no device called `{name}`{suggestion(name, LOCAL)}",
        f"--device {' or '.join(LOCAL)}, or the ARN of a device: "
        "arn:aws:braket:us-east-1::device/qpu/ionq/Forte-1",
    )
