"""Groups of Pauli words over many qubits, kept as bit columns: bit r of `x[q]` and `z[q]` is what
row r has on qubit q. A Clifford gate then changes a few columns, however many rows there are.
"""

from __future__ import annotations

from collections.abc import Iterable

from qrlang.ir.program import PauliString


class Span:
    """All products of its rows, signs forgotten."""

    def __init__(self, qubits: int) -> None:
        self.x = [0] * qubits
        self.z = [0] * qubits
        self.rows = 0

    def copy(self) -> Span:
        other = Span(0)
        other.x, other.z, other.rows = self.x.copy(), self.z.copy(), self.rows
        return other

    def against(self, word: PauliString) -> int:
        """The rows that anticommute with a word, as a bit mask."""
        mask = 0
        for q, letter in word:
            if letter == "Z":
                mask ^= self.x[q]
            elif letter == "X":
                mask ^= self.z[q]
            else:
                mask ^= self.x[q] ^ self.z[q]
        return mask

    def multiply(self, mask: int, word: PauliString) -> None:
        """The rows of a mask times a word."""
        for q, letter in word:
            if letter != "Z":
                self.x[q] ^= mask
            if letter != "X":
                self.z[q] ^= mask

    def add(self, word: PauliString) -> None:
        self.multiply(1 << self.rows, word)
        self.rows += 1
        if self.rows > 8 * len(self.x) + 64:
            self.reduce()

    def join(self, other: Span) -> None:
        """Also all the rows of another."""
        for q, (x, z) in enumerate(zip(other.x, other.z, strict=True)):
            self.x[q] |= x << self.rows
            self.z[q] |= z << self.rows
        self.rows += other.rows

    def touches(self, qubits: Iterable[int]) -> bool:
        return any(self.x[q] or self.z[q] for q in qubits)

    def reduce(self) -> int:
        """The same group from as few rows as there can be; their number.

        The matrix is R T with R the independent columns that the elimination finds and T how every
        column is a sum of those: T's rows span what the matrix's rows do.
        """
        pivots = 0
        basis: dict[int, tuple[int, int]] = {}  # by its lowest bit: a column of R, its number
        for side in (self.x, self.z):
            for q, column in enumerate(side):
                parts = 0
                while hits := column & pivots:
                    other, part = basis[hits & -hits]
                    column ^= other
                    parts ^= part
                if column:
                    low = column & -column
                    part = 1 << len(basis)
                    pivots |= low
                    basis[low] = column, part
                    parts ^= part
                side[q] = parts
        self.rows = len(basis)
        return self.rows

    def clear(self, q: int, letters: str) -> None:
        """Keeps the rows that have, up to products, only these letters on a qubit ("" or "Z"),
        and forgets the qubit."""
        self._without(self.x, q)
        if not letters:
            self._without(self.z, q)
        self.z[q] = 0

    def keep_commuting(self, word: PauliString) -> None:
        """Keeps the products of rows that commute with a word."""
        self._cancel_rows(self.against(word))

    def _without(self, columns: list[int], q: int) -> None:
        """Clears a column by adding one of its rows to the others, and drops that row."""
        self._cancel_rows(columns[q])

    def _cancel_rows(self, mask: int) -> None:
        if mask:
            row = mask & -mask
            for side in (self.x, self.z):
                for i, column in enumerate(side):
                    if column & row:
                        side[i] = column ^ mask
            # The row itself was in the mask, so it is empty now: harmless, and dropped in time.


def reduced(column: int, pivots: int, basis: dict[int, int]) -> int:
    hits = column & pivots
    while hits:
        column ^= basis[hits & -hits]
        hits = column & pivots
    return column


def _pick(column: int, position: dict[int, int]) -> int:
    """The bits of a column that have a new position (by their old one as a bit), there."""
    out = 0
    while column:
        low = column & -column
        column ^= low
        new = position.get(low)
        if new is not None:
            out |= 1 << new
    return out


def _positions(mask: int) -> dict[int, int]:
    found: dict[int, int] = {}
    while mask:
        low = mask & -mask
        mask ^= low
        found[low] = len(found)
    return found


class Stabilisers(Span):
    """Words with signs that all commute, each of which leaves the state as it is."""

    def __init__(self, qubits: int) -> None:
        super().__init__(qubits)
        self.signs = 0  # bit r: row r has a minus

    def copy(self) -> Stabilisers:
        other = Stabilisers(0)
        other.x, other.z, other.rows = self.x.copy(), self.z.copy(), self.rows
        other.signs = self.signs
        return other

    def fresh(self, q: int, minus: bool = False) -> None:
        """A qubit known to be |0⟩ (or |1⟩), after `forget`."""
        self.signs |= int(minus) << self.rows
        self.add(((q, "Z"),))

    def add(self, word: PauliString) -> None:
        self.multiply(1 << self.rows, word)
        self.rows += 1
        if self.rows > 2 * len(self.x) + 64:
            self.compact()

    def compact(self) -> None:
        """Drops rows that have become empty."""
        mask = 0
        for column in (*self.x, *self.z):
            mask |= column
        self._keep(mask)

    def _keep(self, mask: int) -> None:
        if mask == (1 << self.rows) - 1:
            return
        position = _positions(mask)
        self.x = [_pick(column, position) for column in self.x]
        self.z = [_pick(column, position) for column in self.z]
        self.signs = _pick(self.signs, position)
        self.rows = len(position)

    def phases(self, word: PauliString) -> tuple[int, int]:
        """`word * row = i^k * (another word)`: the two bits of k for every row, as (low, high)."""
        low = high = 0
        for q, letter in word:
            x, z = self.x[q], self.z[q]
            is_x, is_y, is_z = x & ~z, x & z, z & ~x
            if letter == "X":
                up, down = is_y, is_z
            elif letter == "Y":
                up, down = is_z, is_x
            else:
                up, down = is_x, is_y
            high ^= up & low
            low ^= up
            high ^= down & ~low
            low ^= down
        return low, high

    def turn(self, word: PauliString, quarters: int | None) -> int:
        """A rotation about a word; returns the rows that it does not commute with."""
        mask = self.against(word)
        if not mask:
            return 0
        if quarters is None:
            self.commuting(word)
        elif quarters == 2:
            self.signs ^= mask
        elif quarters:
            low, high = self.phases(word)
            # One quarter turn: row -> -i word row; three: row -> +i word row.
            self.signs ^= mask & low & (high if quarters == 1 else ~high)
            self.multiply(mask, word)
        return mask

    def commuting(self, word: PauliString) -> None:
        """Keeps only products that commute with a word."""
        mask = self.against(word)
        if mask:
            self._cancel(mask)

    def forget(self, q: int) -> None:
        """Traced out: keeps only products that are the identity there."""
        for columns in (self.x, self.z):
            if columns[q]:
                self._cancel(columns[q])

    def _cancel(self, mask: int) -> None:
        """Multiplies one row of the mask into all the rows of it: itself becomes empty."""
        row = (mask & -mask).bit_length() - 1
        self.multiply_row(mask, row)

    def multiply_row(self, mask: int, row: int) -> None:
        word = self.word(row)
        _, high = self.phases(word)  # they commute, so the low bit is 0
        self.signs ^= mask & high
        if self.signs_of(row):
            self.signs ^= mask
        self.multiply(mask, word)

    def signs_of(self, row: int) -> int:
        return self.signs >> row & 1

    def word(self, row: int) -> PauliString:
        out = []
        bit = 1 << row
        for q, (x, z) in enumerate(zip(self.x, self.z, strict=True)):
            if x & bit:
                out.append((q, "Y" if z & bit else "X"))
            elif z & bit:
                out.append((q, "Z"))
        return tuple(out)

    def words(self) -> list[PauliString]:
        """Every row that is not empty."""
        found: list[list[tuple[int, str]]] = [[] for _ in range(self.rows)]
        for q, (x, z) in enumerate(zip(self.x, self.z, strict=True)):
            rest = x | z
            while rest:
                low = rest & -rest
                rest ^= low
                letter = ("Y" if z & low else "X") if x & low else "Z"
                found[low.bit_length() - 1].append((q, letter))
        return [tuple(word) for word in found if word]

    def solve(self, word: PauliString) -> int | None:
        """The rows whose product is a word (up to sign), as a mask; None if there are none."""
        if not word:
            return 0
        wanted = dict(word)
        top = 1 << self.rows
        pivots = 0
        basis: dict[int, int] = {}
        for q, (x, z) in enumerate(zip(self.x, self.z, strict=True)):
            letter = wanted.get(q, "")
            if (not x and letter in ("X", "Y")) or (not z and letter in ("Z", "Y")):
                return None
            for column, bit in ((x, letter in ("X", "Y")), (z, letter in ("Z", "Y"))):
                column |= top if bit else 0
                column = reduced(column, pivots, basis)
                if column == top:
                    return None
                if column:
                    low = column & -column
                    pivots |= low
                    basis[low] = column
        mask = 0
        for low in sorted(basis, reverse=True):  # rows without a pivot are left out
            column = basis[low]
            if ((column & mask).bit_count() & 1) ^ (1 if column & top else 0):
                mask |= low
        return mask

    def sign(self, word: PauliString) -> int | None:
        """0 if the word is +1 on the state, 1 if it is -1, None if it is neither."""
        mask = self.solve(word)
        if mask is None:
            return None
        scratch = Stabilisers(len(self.x))
        sign = 0
        for row in range(self.rows):
            if mask >> row & 1:
                piece = self.word(row)
                _, high = scratch.phases(piece)
                sign ^= (high & 1) ^ self.signs_of(row)
                scratch.multiply(1, piece)
        return sign

    def common(self, other: Stabilisers) -> Stabilisers:
        """What both have, with the same sign."""
        n = len(self.x)
        # Zassenhaus: rows (a|a) and (b|0); where the left half has vanished, the right is common.
        pivots: dict[int, int] = {}
        out = Stabilisers(n)
        found: list[PauliString] = []
        left = 2 * n
        pending = [v << left | v for v in _numbers(self)] + [v << left for v in _numbers(other)]
        for v in pending:
            while v >> left:
                top = v.bit_length()
                if top not in pivots:
                    pivots[top] = v
                    break
                v ^= pivots[top]
            else:
                found.append(_word(v, n))
        signs = [
            (word, a, a ^ (other.sign(word) or 0))
            for word in found
            if word
            for a in (self.sign(word) or 0,)
        ]
        # Words that differ in sign: products of two of them agree.
        odd = [(word, sign) for word, sign, differs in signs if differs]
        for word, sign, differs in signs:
            if not differs:
                out.signs |= sign << out.rows
                out.add(word)
        if odd:
            first_word, first_sign = odd[0]
            for word, sign in odd[1:]:
                scratch = Stabilisers(n)
                scratch.multiply(1, word)
                _, high = scratch.phases(first_word)
                scratch.multiply(1, first_word)
                out.signs |= ((high & 1) ^ sign ^ first_sign) << out.rows
                out.add(scratch.word(0))
        return out


def _numbers(group: Span) -> list[int]:
    """The rows as numbers: bit 2q is x, bit 2q + 1 is z."""
    out = [0] * group.rows
    for q, (x, z) in enumerate(zip(group.x, group.z, strict=True)):
        for shift, column in ((2 * q, x), (2 * q + 1, z)):
            while column:
                low = column & -column
                out[low.bit_length() - 1] |= 1 << shift
                column ^= low
    return out


def _word(number: int, n: int) -> PauliString:
    out = []
    for q in range(n):
        bits = number >> 2 * q & 3
        if bits:
            out.append((q, "_XZY"[bits]))
    return tuple(out)
