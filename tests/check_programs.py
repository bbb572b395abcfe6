"""Programs that use the whole language, each right, by what they show."""

PROGRAMS: dict[str, str] = {
    "one moment, no step": """
model M(n: int = 3) {
  input  x: real[n]
  target y: class[2]
  qubits q[n]
  param  w: angle[n]
  layer  head = linear(2)
  for i in 0..n { ry(x[i] + 2 * w[i] + pi / 4) q[i] }
  for i in 0..n { cx q[i], q[(i + 1) % n] }
  return head(read [Z(q[i]) for i in 0..n])
}""",
    "gates as in OpenQASM": """
model M() {
  input  a: angle[4]
  qubits q[4], r[4]
  h q
  cx q, r
  cx q[0], r[1..3]
  ctrl @ rx(a[0]) q[0], q[1]
  ctrl(2) @ negctrl @ x q[0], q[1], q[2], q[3]
  inv @ s q[0]
  inv @ u(a[0], a[1], a[2]) q[0]
  pow(3) @ t q[1]
  pow(0.5) @ rz(a[3]) q[1]
  inv @ pow(-2) @ ctrl @ sx q[2], q[3]
  swap q[0], r[0]
  cswap q[0], r[1], r[2]
  depolarizing(0.1) q[0]
  amplitude_damping(sigmoid(a[0])) r[0]
  return read [X(q[0]), Y(q[1]) * Z(r[2]), 0.5 * Z(q[3]) - 2 * I]
}""",
    "ansätze under modifiers": """
ansatz block on q: qubit[n] with a: angle[n] {
  for i in 0..n { ry(a[i]) q[i] }
  for i in 0..n - 1 { cx q[i], q[i + 1] }
}
ansatz both(inner: ansatz, times: int = 1) on a: qubit[n], b: qubit[n] with w: angle[2, n] {
  for k in 0..times {
    apply inner(w[0]) to a
    apply inv @ inner(w[1]) to b
  }
}
model M(n: int = 2) {
  input  w: angle[2, n]
  qubits c[1], a[n], b[n]
  h c
  apply both(block, 2)(w) to a, b
  apply ctrl @ inv @ block(w) to c, a, b
  apply pow(2) @ negctrl @ block(w[0]) to c, b
  return read [Z(a[0]), Z(b[n - 1]), X(c[0])]
}""",
    "recurrent with controller": """
use std.ansatz.su2_ring
use std.readout.each_z
model M(n: int = 3, layers: int = 2) {
  input  rows:  seq[real[5]]
  target label: class[10]
  qubits     memory[n]
  readout    z      = each_z(memory)
  ansatz     evolve = su2_ring(layers)
  controller steer  = mlp(16, 8, tanh)
  layer      head   = linear(10)
  init steer.b3 = uniform(-1, 1)
  init head.w = 0
  step row in rows then 3 as ended {
    apply evolve(steer(row, ended, read z)) to memory
  }
  return head(read z over last 4)
}""",
    "several sequences, several emits": """
model M() {
  input  a: seq[real[2]]
  input  b: seq[token[7]]
  target y: seq[real[3]]
  layer  embed = embedding(4)
  layer  out = linear(3)
  carry  h: real[2] = 0.5
  step x, w in a, b {
    h <- tanh(h + x)
    emit both = concat(h, embed(w))
    emit out(h, embed(w))
  }
}""",
    "encoder, decoder, attention": """
use std.ansatz.ry_ring
use std.readout.each_z
model M(n: int = 2, vocab: int = 9) {
  input  source: seq[token[vocab]]
  target words:  seq[token[vocab]]
  layer  embed = embedding(3)
  recurrent encoder over source {
    qubits     memory[n]
    controller steer = mlp(8)
    carry      sum: real[3] = 0
    step w {
      apply ry_ring(steer(embed(w))) to memory
      sum <- sum + embed(w)
      emit keys = read each_z(memory)
    }
  }
  recurrent decoder over shifted(words, start: 1) {
    qubits     memory[n] = encoder.memory
    controller steer = mlp(8)
    attention  look = additive(5)
    attention  near = bilinear
    attention  same = scaled
    layer      head = linear(vocab)
    carry      seen: real[3] = encoder.sum
    step w {
      let r = read each_z(memory)
      let c = look(r, over: encoder.keys)
      let d = near(seen, over: encoder.keys, values: encoder.keys)
      let e = same(r, over: encoder.keys)
      apply ry_ring(steer(embed(w), c, d, e)) to memory
      seen <- 0.5 * seen
      emit head(r, c, seen)
    }
  }
}""",
    "attention scored by a circuit": """
circuit match(n: int)(query: real[n], key: real[n]) -> real {
  qubits q[n]
  param  w: angle[n]
  for i in 0..n { ry(query[i]) q[i]  rx(key[i] * w[i]) q[i] }
  for i in 0..n - 1 { cx q[i + 1], q[i] }
  return read Z(q[0])
}
model M() {
  input  x: seq[real[3]]
  recurrent reader over x { step t { emit keys = sin(t) } }
  attention look = scored(match(3))
  return look(last(x), over: reader.keys)
}""",
    "circuits as layers": """
circuit inner(n: int)(v: real[n]) -> real[n] {
  qubits q[n]
  layer  scale = linear(n)
  let s = scale(v)
  for i in 0..n { ry(atan(s[i])) q[i]  rz(atan(s[i] * s[i])) q[i]  rx(v[i]) q[i] }
  for i in 0..n - 1 { cx q[i], q[i + 1] }
  return read [Z(q[i]) for i in 0..n]
}
circuit outer(n: int)(v: real[n]) -> real[n] {
  layer first = inner(n)
  layer second = inner(n)
  return first(v) + second(second(v))
}
circuit plain()(v: real[2]) -> real {
  qubits q[2]
  for i in 0..2 { ry(v[i]) q[i] }
  cx q[0], q[1]
  return read Z(q[1])
}
model M() {
  input x: seq[real[2]]
  layer f = outer(2)
  frozen layer g = outer(2)
  carry h: real[2] = 0
  step t in x { h <- sigmoid(f(h)) * g(t) + plain()(t) }
  return h
}""",
    "measurement and feed-forward": """
model M() {
  input  x: seq[real[2]]
  qubits q[2], a[1]
  carry  seen: real[3] = 0
  carry  old: bit = 0
  step t in x {
    ry(t[0]) q[0]
    cx q[0], q[1]
    let m = measure q
    if m[0] { x q[1]  if m[1] == 0 { h a[0] } else { z a[0] } }
    if not old { rx(t[1]) a[0] }
    old <- measure a[0]
    reset a
    measure q[0]
    seen <- concat(m, old)
    emit where(old, 1, seen[0]) + read Z(q[1])
  }
}""",
    "postselection": """
model M() {
  input  x: real[2]
  qubits q[2], a[1]
  for i in 0..2 { ry(x[i]) q[i] }
  cx q[0], a[0]
  ry(0.3) a[0]
  postselect a[0] == 0
  postselect a == [0]
  cx q[0], q[1]
  return read probs(q)
}""",
    "preparation and data": """
model M(n: int = 2) {
  input  u:   unitary[n]
  input  psi: state[n]
  input  v:   real[2 ** n]
  qubits a[n], b[n], d[1]
  qubits c[n] = mixed
  param  w: unitary[1] = haar
  prepare psi on a
  prepare v on b
  h d
  apply u to a
  apply ctrl @ inv @ u to d, c
  apply w to d
  cx a, b
  return read [Z(a[0]), Z(b[1]), X(d[0]), Z(c[0])]
}""",
    "Hamiltonians": """
hamiltonian field(sign: int = 1) on q: qubit[n] with J: real, h: real[n] =
  sign * J * sum([Z(q[i]) * Z(q[i + 1]) for i in 0..n - 1]) + sum([h[i] * X(q[i]) for i in 0..n])
hamiltonian count on q: qubit[n] = sum([0.5 * I - 0.5 * Z(q[i]) for i in 0..n])
model M(n: int = 3) {
  input  x: real[n]
  qubits q[n]
  param  J: real = 1
  param  t: real = 0.1
  h q
  apply field(J, x) for 0.5 to q
  apply field(-1)(0.3, x) for 2 * t trotter 4 to q
  apply inv @ count for t to q
  return concat(read count(q), read field(J, x)(q))
}""",
    "reservoir": """
use std.spin.ising
model M(n: int = 3, k: int = 2) {
  input  u: seq[real[1]]
  target y: seq[real[1]]
  qubits inlet[1], memory[n]
  frozen w: angle[...] = uniform(-pi, pi)
  carry  past: real[k, n] = 0
  layer  head = linear(1)
  step t in u {
    reset inlet
    ry(acos(t[0])) inlet[0]
    apply ising(w) to inlet, memory
    past <- push(past, read [Z(memory[i]) for i in 0..n])
    emit head(past)
  }
}""",
    "readouts of every kind": """
readout pairs(letter: int = 0) on q: qubit[n] =
  [[Z(q[i]) * Z(q[i + 1]), X(q[i]) * X(q[i + 1])] for i in 0..n - 1 if i >= letter]
model M() {
  input  x: real[3]
  qubits q[3]
  readout noisy = pairs(q) shots 100
  readout soft  = [Z(q[0])] weak 0.2
  readout dist  = probs(q[0..2]) shots 10
  for i in 0..3 { rx(x[i]) q[i]  cz q[i], q[(i + 1) % 3] }
  let a = read noisy
  let b = read soft
  return concat(a, b, read dist, read pairs(1)(q), read Z(q[0]))
}""",
    "functions": """
model M() {
  input x: real[2, 3]
  input v: real[3]
  input s: seq[real[3]]
  let a = matmul(x, v)
  let b = transpose(x)
  let c = reshape(x, 3, 2) + b
  let d = softmax(x[0]) + normalize(v) * norm(v) - v / 2
  let e = [sum(v), mean(v), max(v), min(v), prod(v), dot(v, d)]
  let f = outer(v, a)
  let g = glu(concat(v, 1)) * clamp(a, -1, 1) + minimum(a, 0) + maximum(0, a)
  let k = where(v, 1, d) + x[1, ..] + x[0][0..3]
  let m = last(s) + mean(s) + sum(s) + max(s) + v ** 2 - abs(-v)
  let o = last(s, 2)
  let z = zeros(3) + ones(3) + [v[0], 2 * v[1], 1]
  return concat(c, d, e, f, g, k, m, o, z, flatten(x), [i * i for i in 0..4 if i % 2 == 0])
}""",
    "layers": """
extern layer tt(rank: int = 4): real[6] -> real[3] = "mypkg.layers:TensorTrain"
model M() {
  input  x: real[6]
  input  k: class[4]
  layer  a = linear(3, gain: 2.0)
  layer  b = mlp(8, gelu, out: 3)
  layer  c = layer_norm
  layer  d = dropout(0.5)
  layer  e = tt(rank: 2)
  layer  f = embedding(3)
  frozen layer g = linear(3, bias: false)
  return a(x) + b(x) + c(d(e(x))) + f(k) + g(one_hot(k))
}""",
    "window attention": """
model M() {
  input  x: seq[real[3]]
  carry  past: real[4, 3] = 0
  attention look = additive(5)
  attention near = scaled
  attention bi = bilinear
  step t in x {
    past <- push(past, t)
    emit look(t, over: past) + near(t, over: past) + bi(t, t, over: past)
  }
}""",
    "qubits of a step": """
model M() {
  input  x: seq[real[4]]
  step t in x {
    qubits q[2]
    prepare t on q
    cx q[0], q[1]
    emit read [Z(q[0]), Z(q[1])]
  }
}""",
    "stacks and directions": """
model M() {
  input  x: seq[real[2]]
  recurrent lower over x { step t { emit z = sin(t) } }
  recurrent upper over lower.z, reversed(x) { step a, b { emit z = a * b } }
  return concat(last(upper.z), mean(lower.z))
}""",
    "constants and choices": """
const depth = 2 * 3 - 1
const wide = depth > 4 and not false
const name = "a" + "b"
ansatz either(kind: string = "y", deep: bool = wide) on q: qubit[n] with a: angle[n] {
  require n >= 1, "at least one qubit"
  for i in 0..n {
    if kind == "x" { rx(a[i]) q[i] } else if deep { ry(a[i]) q[i] } else { rz(a[i]) q[i] }
  }
}
model M(kind: string = "x", act: activation = tanh, cell: ansatz = either) {
  const k = 2
  input  x: real[k]
  qubits q[k]
  apply either(kind)(x) to q
  apply cell(act(x)) to q
  return act(read [Z(q[i]) for i in 0..k])
}""",
}
