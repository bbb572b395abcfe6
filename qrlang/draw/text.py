"""A scene as characters: two lines a wire, wrapped to a width; below it the classical side."""

from __future__ import annotations

from dataclasses import dataclass

from qrlang.draw.picture import Block, Picture
from qrlang.draw.scene import Column, Item, Mark, Scene, columns, make_room, panels

_SIGNS = {"control": "●", "open": "○", "target": "⊕", "cross": "×"}


def render(picture: Picture, width: int = 100, ascii_only: bool = False) -> str:
    lines = [picture.title, *(f"  {line}" for line in picture.remarks), ""]
    for part in picture.scenes:
        lines += _circuit(part, width)
        lines.append("")
    for group in picture.groups:
        inside = [line for block in group.blocks for line in _block(block)]
        goes_on = f" {group.goes_on} go{'' if ',' in group.goes_on else 'es'} into the next step ─╯"
        lines += _framed(inside, group.caption, goes_on if group.goes_on else "╯", width)
        lines.append("")
    lines += picture.notes
    text = "\n".join(line.rstrip() for line in lines).rstrip() + "\n"
    return text.translate(_ASCII) if ascii_only else text


def _ascii() -> dict[int, str]:
    """One character for one, so that nothing moves."""
    pairs = {"─": "-", "│": "|", "┤": "[", "├": "]", "╡": "[", "╞": "]", "●": "@", "○": "o",
             "⊕": "+", "×": "x", "┼": "+", "╫": "+", "╎": ":", "═": "=", "║": "|", "⟨": "<",
             "⟩": ">", "→": ">", "▶": ">", "†": "'", "√": "v", "π": "p", "−": "-", "…": "~",
             "θ": "t", "φ": "f", "λ": "l", "α": "a", "β": "b", "γ": "g", "δ": "d", "ε": "e",
             "η": "h", "κ": "k", "μ": "m", "ν": "n", "ρ": "r", "σ": "s", "τ": "u", "ω": "w",
             "ξ": "q", "ζ": "z", "≈": "~"}  # fmt: skip
    pairs |= dict.fromkeys("╭╮╰╯╔╗╚╝", "+")
    pairs |= {chr(0x2080 + i): str(i) for i in range(10)}
    return str.maketrans(pairs)


_ASCII = _ascii()


# --- circuits ---


def _mark(mark: Mark) -> str:
    if mark.kind in _SIGNS:
        return _SIGNS[mark.kind]
    if mark.kind == "read":
        return f"╡{mark.text}╞"
    if mark.kind == "noise":
        return f"┤≈{mark.text}├"
    return f"┤{mark.text}├"


def _width(column: Column) -> int:
    widths = [len(_mark(m)) for item in column.items if not item.tall for _, m in item.marks]
    widths += [len(item.tall) + 2 for item in column.items if item.tall]
    return max(widths, default=1)


@dataclass
class _Canvas:
    rows: list[list[str]]

    @classmethod
    def blank(cls, height: int, width: int) -> _Canvas:
        return cls([[" "] * width for _ in range(height)])

    def put(self, x: int, y: int, text: str) -> None:
        self.rows[y][x : x + len(text)] = text

    def lines(self) -> list[str]:
        return ["".join(row) for row in self.rows]


def _circuit(scene: Scene, width: int) -> list[str]:
    cols = columns(scene.parts, len(scene.wires))
    widths = [_width(c) for c in cols]
    make_room(cols, widths, 1, 1, 6)
    names = max(map(len, scene.wires), default=0)
    start = names + 3 + max((len(b or "▶") for b in scene.begins), default=0)
    parts = panels(cols, widths, 1, max(width - start - 4, 20))
    out: list[str] = []
    open_frames: list[str] = []
    for k, (low, high) in enumerate(parts):
        last = k == len(parts) - 1
        out += _panel(scene, cols[low:high], widths[low:high], start, k == 0, last, open_frames)
    tail = " the qubits go on into the next step ─╯" if scene.repeats else "╯"
    return _framed(out, scene.caption, tail, width)


def _framed(lines: list[str], caption: str, tail: str, width: int) -> list[str]:
    """Between a line with a caption and one that says what goes on."""
    if not caption:
        return lines
    width = min(width, max(map(len, [*lines, caption + " " * 7, " " * 52])))
    width = max(width, len(tail) + 2)
    head = f"╭─ {caption} ".ljust(width - 1, "─") + "╮"
    return [head, *lines, "╰".ljust(width - len(tail), "─") + tail]


def _panel(
    scene: Scene,
    cols: list[Column],
    widths: list[int],
    start: int,
    first: bool,
    last: bool,
    open_frames: list[str],
) -> list[str]:
    lines: dict[int, int] = {}  # of each wire
    y = 1
    for row in range(len(scene.wires)):
        lines[row] = y
        y += 3 if row in scene.gaps else 2
    bottom = max(lines.values(), default=0)
    reads = sum(1 for c in cols for i in c.items if i.reads)
    total = start + sum(widths) + len(widths) + 3
    framed = bool(open_frames) or any(c.opens for c in cols)
    below = bottom + 2 if framed else bottom + 1
    canvas = _Canvas.blank(below + 1 + reads, total + 30)

    for row, name in enumerate(scene.wires):
        canvas.put(0, lines[row], name)
        left = (scene.begins[row] or "▶") if first else "…"
        canvas.put(start - len(left) - 1, lines[row], left)
        canvas.put(start, lines[row], "─" * (total - start - 2))
        canvas.put(total - 2, lines[row], ("▶" if scene.repeats else "") if last else "…")

    x = start + 1
    named: list[tuple[int, Item]] = []  # readouts, and where each is
    frames = [(start, caption) for caption in open_frames]
    for column, w in zip(cols, widths, strict=True):
        if column.opens:
            _edge(canvas, x, 1, bottom, lines)
            frames.append((x, column.opens))
            open_frames.append(column.opens)
        elif column.closes:
            at = x + w - 1
            _edge(canvas, at, 1, bottom, lines)
            begin, caption = frames.pop()
            open_frames.pop()
            _border(canvas, begin, at, caption, bottom, closed=True)
        for item in column.items:
            middle = x + w // 2
            if item.tall:
                _tall(canvas, item, x, w, lines)
            else:
                _marks(canvas, item, middle, lines)
            if item.reads:
                named.append((middle, item))
        x += w + 1
    line, free = below, total + 30
    for middle, item in reversed(named):  # lines go down to the left of the names below them
        line = below if middle + len(item.reads) + 3 < free else line + 1
        for y in range(lines[item.rows[1]] + 1, line):
            canvas.put(middle, y, "╫" if y in lines.values() else "║")
        canvas.put(middle, line, "║ " + item.reads)
        free = middle
    for begin, caption in frames:  # those that go on in the next panel
        _border(canvas, begin, x, caption, bottom, closed=False)
    lines_out = [line.rstrip() for line in canvas.lines()]
    while lines_out and not lines_out[-1]:
        lines_out.pop()
    return lines_out


def _edge(canvas: _Canvas, x: int, top: int, bottom: int, lines: dict[int, int]) -> None:
    for y in range(top, bottom + 1):
        canvas.put(x, y, "┼" if y in lines.values() else "╎")


def _border(
    canvas: _Canvas, left: int, right: int, caption: str, bottom: int, closed: bool
) -> None:
    width = right - left + 1
    top = f"╭─ {caption} ".ljust(width - 1, "─") + ("╮" if closed else "─")
    for i, letter in enumerate(top):
        if canvas.rows[0][left + i] in " ─":
            canvas.put(left + i, 0, letter)
    low = "╰" + "─" * (width - 2) + ("╯" if closed else "─")
    for i, letter in enumerate(low):
        if canvas.rows[bottom + 1][left + i] in " ─":
            canvas.put(left + i, bottom + 1, letter)


def _marks(canvas: _Canvas, item: Item, middle: int, lines: dict[int, int]) -> None:
    low, high = item.rows
    if item.joined and high > low:
        for y in range(lines[low], lines[high]):
            canvas.put(middle, y, "┼" if y in lines.values() else "│")
    for row, mark in item.marks:
        text = _mark(mark)
        canvas.put(middle - len(text) // 2, lines[row], text)


def _tall(canvas: _Canvas, item: Item, x: int, w: int, lines: dict[int, int]) -> None:
    boxes = [row for row, mark in item.marks if mark.kind == "box"]
    others = Item(tuple(m for m in item.marks if m[1].kind != "box"), joined=False)
    text, middle = item.tall, x + w // 2
    if others.marks:
        low, high = item.rows
        for y in range(lines[low], lines[high]):
            canvas.put(middle, y, "┼" if y in lines.values() else "│")
        _marks(canvas, others, middle, lines)
    touched = {lines[row] for row in boxes}
    top, bottom = min(touched), max(touched)
    left, inside = middle - (len(text) + 2) // 2, len(text)
    for y in range(top, bottom + 1):
        ends = "┤├" if y in touched else "││"
        canvas.put(left, y, ends[0] + " " * inside + ends[1])
    canvas.put(left + 1, (top + bottom) // 2, text)


# --- the classical side ---


def _block(block: Block) -> list[str]:
    """Arrows in, a box, arrows out."""
    inside = [block.name, *([block.detail] if block.detail else [])]
    height = max(len(inside), len(block.inputs), len(block.outputs))
    inside += [""] * (height - len(inside))
    width = max(map(len, inside)) + 2
    names = max((len(name) for name in block.inputs), default=0)
    out = [" " * (names + 7) + "╔" + "═" * width + "╗"]
    for i in range(height):
        left = f"  {block.inputs[i].rjust(names)} ──▶" if i < len(block.inputs) else ""
        right = f"──▶ {block.outputs[i]}" if i < len(block.outputs) else ""
        out.append(left.ljust(names + 6).ljust(names + 7) + f"║{inside[i].center(width)}║{right}")
    out.append(" " * (names + 7) + "╚" + "═" * width + "╝")
    return out
