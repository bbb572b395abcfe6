"""How each tool writes a gate: names, what must be defined first, the words around it."""

from __future__ import annotations

from dataclasses import dataclass, field

from qrlang.gates import CHANNELS, GATES


@dataclass(frozen=True, slots=True)
class Written:
    """A gate's name in a dialect; `{}` stands for its angles in order, `-{}` for one negated."""

    name: str
    angles: str = ""  # "" = as they are
    needs: tuple[str, ...] = ()  # definitions that must stand above


@dataclass(frozen=True, slots=True)
class Dialect:
    name: str
    title: str
    includes: tuple[str, ...]
    input_type: str
    gates: dict[tuple[str, int], Written]  # by base name and number of controls
    definitions: dict[str, str] = field(default_factory=dict)
    noise: dict[str, str] = field(default_factory=dict)
    drops_idle_qubits: bool = False  # qubits that nothing touches are left out of its results
    resets_wrongly: str = ""  # what to say about simulating a reset
    has_negctrl: bool = True
    controls_definitions: bool = True  # `ctrl @` before a gate that is defined in the text
    # Gates written as another between two gates on the last operand, which need no controls.
    conjugated: dict[str, tuple[str, str]] = field(default_factory=dict)


# Each needs only what the dialect has or what stands above it here.
_DEFINE = {
    "sxdg": "gate sxdg a { inv @ sx a; }",
    "rzz": "gate rzz(t) a, b { cx a, b; rz(t) b; cx a, b; }",
    "rxx": "gate rxx(t) a, b { h a; h b; cx a, b; rz(t) b; cx a, b; h a; h b; }",
    "ryy": "gate ryy(t) a, b { sdg a; sdg b; h a; h b; cx a, b; rz(t) b; cx a, b; "
    "h a; h b; s a; s b; }",
    "rzx": "gate rzx(t) a, b { h b; cx a, b; rz(t) b; cx a, b; h b; }",
    "xx_plus_yy": "gate xx_plus_yy(t) a, b { h a; h b; cx a, b; rz(t / 2) b; cx a, b; h a; h b; "
    "sdg a; sdg b; h a; h b; cx a, b; rz(t / 2) b; cx a, b; h a; h b; s a; s b; }",
    "iswap": "gate iswap a, b { s a; s b; h a; cx a, b; cx b, a; h b; }",
    "iswapdg": "gate iswapdg a, b { h b; cx b, a; cx a, b; h a; sdg b; sdg a; }",
}

_NAMES = "id x y z h s sdg t tdg sx rx ry rz p swap cx cy cz ch crx cry crz cp ccx cswap"
_STDGATES = frozenset(_NAMES.split())


def _qiskit() -> Dialect:
    gates: dict[tuple[str, int], Written] = {}
    for spec in GATES.values():
        for controls, name in enumerate((spec.name, *spec.controlled)):
            if name in _STDGATES:
                gates[spec.name, controls] = Written(name)
    gates["u", 0] = Written("U")
    gates["r", 0] = Written("U", "{0}, {1} - pi / 2, pi / 2 - ({1})")
    for name in _DEFINE:
        gates[name, 0] = Written(name, needs=(name,))
    return Dialect("qiskit", "Qiskit", ('include "stdgates.inc";',), "float[64]", gates, _DEFINE)


# One control on a gate of one qubit is written out: `ctrl @ h q[1], q[0]` (control above target)
# is silently left out by Braket's local simulator (default simulator 1.41), which has no such
# trouble with several controls or with gates of two qubits.
_BRAKET_DEFINE = {
    "ch": "gate ch a, b { s b; h b; t b; cnot a, b; ti b; h b; si b; }",
    "csxdg": "gate csxdg a, b { h b; cphaseshift(-pi / 2) a, b; h b; }",
    "crz": "gate crz(t) a, b { rz(t / 2) b; cnot a, b; rz(-t / 2) b; cnot a, b; }",
    "cry": "gate cry(t) a, b { ry(t / 2) b; cnot a, b; ry(-t / 2) b; cnot a, b; }",
    "crx": "gate crx(t) a, b { h b; crz(t) a, b; h b; }",
    "cr": "gate cr(t, f) a, b { rz(-f) b; crx(t) a, b; rz(f) b; }",
    "cu": "gate cu(t, f, l) a, b { rz((l - f) / 2) b; cnot a, b; rz(-(f + l) / 2) b; "
    "ry(-t / 2) b; cnot a, b; ry(t / 2) b; rz(f) b; phaseshift((f + l) / 2) a; }",
}


def _braket() -> Dialect:
    gates: dict[tuple[str, int], Written] = {}
    for spec in GATES.values():
        if spec.braket:
            gates[spec.name, 0] = Written(spec.braket)
        if spec.braket_controlled:
            gates[spec.name, 1] = Written(spec.braket_controlled)
    gates["x", 2] = Written("ccnot")
    gates["u", 0] = Written("U")
    gates["iswapdg", 0] = Written("inv @ iswap")
    gates["xx_plus_yy", 0] = Written("xy", "-{0}")
    for base, quarter in (("s", "pi / 2"), ("sdg", "-pi / 2"), ("t", "pi / 4"), ("tdg", "-pi / 4")):
        gates[base, 1] = Written("cphaseshift", quarter)
    for base in ("h", "sxdg", "rx", "ry", "rz", "r", "u"):
        name = f"c{base}"
        needs = {"crx": ("crz", "crx"), "cr": ("crz", "crx", "cr")}.get(name, (name,))
        gates[base, 1] = Written(name, needs=needs)
    return Dialect(
        "braket",
        "Amazon Braket",
        (),
        "float",
        gates,
        _BRAKET_DEFINE,
        {c.name: c.braket for c in CHANNELS.values()},
        drops_idle_qubits=True,
        resets_wrongly="`braket_dm`: `braket_sv` resets an entangled qubit wrongly, in silence",
        has_negctrl=False,
        controls_definitions=False,
        conjugated={"rzx": ("h", "rzz")},
    )


DIALECTS = {d.name: d for d in (_qiskit(), _braket())}
