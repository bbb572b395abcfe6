// QRNN: one step of `step`, written by qrlc 0.1.0 in the OpenQASM 3 of Qiskit.
// Settings: n = 4, layers = 2, hidden = 16, classes = 3.
// The qubits hold what the step before left in them; before the first, |0⟩.
//
// The host computes these angles before each run:
//   theta_0 … theta_23 = steer[0] … steer[23], in order
OPENQASM 3.0;
include "stdgates.inc";
input float[64] theta_0;
input float[64] theta_1;
input float[64] theta_2;
input float[64] theta_3;
input float[64] theta_4;
input float[64] theta_5;
input float[64] theta_6;
input float[64] theta_7;
input float[64] theta_8;
input float[64] theta_9;
input float[64] theta_10;
input float[64] theta_11;
input float[64] theta_12;
input float[64] theta_13;
input float[64] theta_14;
input float[64] theta_15;
input float[64] theta_16;
input float[64] theta_17;
input float[64] theta_18;
input float[64] theta_19;
input float[64] theta_20;
input float[64] theta_21;
input float[64] theta_22;
input float[64] theta_23;
qubit[4] memory;
// read z: Z(memory[0]), Z(memory[1]), Z(memory[2]), Z(memory[3])
rz(theta_0) memory[0];
ry(theta_1) memory[0];
rz(theta_2) memory[0];
rz(theta_3) memory[1];
ry(theta_4) memory[1];
rz(theta_5) memory[1];
rz(theta_6) memory[2];
ry(theta_7) memory[2];
rz(theta_8) memory[2];
rz(theta_9) memory[3];
ry(theta_10) memory[3];
rz(theta_11) memory[3];
cx memory[0], memory[1];
cx memory[1], memory[2];
cx memory[2], memory[3];
cx memory[3], memory[0];
rz(theta_12) memory[0];
ry(theta_13) memory[0];
rz(theta_14) memory[0];
rz(theta_15) memory[1];
ry(theta_16) memory[1];
rz(theta_17) memory[1];
rz(theta_18) memory[2];
ry(theta_19) memory[2];
rz(theta_20) memory[2];
rz(theta_21) memory[3];
ry(theta_22) memory[3];
rz(theta_23) memory[3];
cx memory[0], memory[1];
cx memory[1], memory[2];
cx memory[2], memory[3];
cx memory[3], memory[0];
