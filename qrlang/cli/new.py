"""`qrlc new`"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click

from qrlang.cli import common

MODEL = """\
/// A quantum memory that reads a sequence and tells its class.
use std.ansatz.su2_ring
use std.readout.each_z

model {name}(n: int = 4, layers: int = 2) {{
  input  xs:    seq[real[3]]
  target label: class[2]

  qubits     memory[n]
  readout    z      = each_z(memory)
  ansatz     evolve = su2_ring(layers)
  controller steer  = mlp(32, relu)
  layer      head   = linear(2)

  step x in xs {{
    apply evolve(steer(x, read z)) to memory
  }}
  return head(read z)
}}

train {name} {{
  data   = travelling_wave(sensors: 3)   // or a file of yours: "mine.csv"
  epochs = 5
}}
"""

README = """\
# {name}

`{file}` holds the model. What to do with it:

```
qrlc check {file}        # what is wrong with it
qrlc inspect {file}      # what it is made of and what it costs
qrlc draw {file}         # one step of it
qrlc fmt {file}          # lay it out in the one style
qrlc train {file}        # seconds; --data mine.csv for yours, --help for the rest
qrlc compile {file} --target qasm -o out
```

Sizes are set from outside: `qrlc inspect {file} --set n=8 --set layers=4`.
"""


@click.command("new")
@click.argument("name", metavar="NAME")
def command(name: str) -> None:
    """Begin a model: a folder NAME with a model that works and a README.

    With a NAME that ends in .qrl, just that file.
    """
    path = Path(name)
    title = _identifier(path.stem if path.suffix == ".qrl" else path.name)
    if path.suffix == ".qrl":
        made = {path: MODEL.format(name=title)}
    else:
        file = f"{_snake(path.name)}.qrl"
        made = {
            path / file: MODEL.format(name=title),
            path / "README.md": README.format(name=title, file=file),
        }
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise common.usage(f"'{name}' exists already")
    for place, text in made.items():
        if place.exists():
            raise common.usage(f"'{place}' exists already")
        common.write(str(place), text)
        click.echo(place)
    click.echo(f"next: qrlc inspect {shlex.quote(str(next(iter(made))))}", err=True)


def _identifier(name: str) -> str:
    """A model's name from a file's: `my-model` is `MyModel`."""
    words = re.findall(r"[A-Za-z0-9]+", name)
    joined = "".join(w[0].upper() + w[1:] for w in words)
    return joined if joined[:1].isalpha() else f"Model{joined}"


def _snake(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_").lower() or "model"
