"""Import every module of the installed wheel, and look at where its files went."""

import importlib
from importlib.metadata import distribution

# Not among the core dependencies: modules for these are only tried as far as their import.
OPTIONAL = {"braket", "qiskit", "qiskit_aer", "qiskit_ibm_runtime"}
OPTIONAL |= {"lsprotocol", "pygls", "qiskit_qasm3_import", "safetensors", "torch"}

dist = distribution("qrlang")
files = [path.as_posix() for path in dist.files or []]
allowed = ("qrlang/", f"qrlang-{dist.version}.dist-info/", "../../../bin/qrlc")
stray = [path for path in files if not path.startswith(allowed)]
assert not stray, f"installed outside qrlang/: {stray}"

imported, skipped = 0, []
for path in files:
    if not (path.startswith("qrlang/") and path.endswith(".py")):
        continue
    name = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    if name.endswith(".__main__"):
        continue
    try:
        importlib.import_module(name)
        imported += 1
    except ModuleNotFoundError as missing:
        if (missing.name or "").split(".")[0] not in OPTIONAL:
            raise
        skipped.append(f"{name} (no {missing.name})")

for name in ("grammar", "backends", "stdlib"):
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        continue
    raise AssertionError(f"{name!r} can be imported without its prefix")

print(f"{imported} modules imported; {len(files)} files installed")
for line in skipped:
    print("skipped:", line)
