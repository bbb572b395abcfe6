// QRNN: the circuit `after_step`, written by qrlc 0.1.0 in the OpenQASM 3 of Amazon Braket.
// Settings: n = 4, layers = 2, hidden = 16, classes = 3.
// The qubits hold what `step` left in them.
OPENQASM 3.0;
qubit[4] memory;
// read z: Z(memory[0]), Z(memory[1]), Z(memory[2]), Z(memory[3])
i memory[0];
i memory[1];
i memory[2];
i memory[3];
