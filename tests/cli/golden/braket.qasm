// QRNN: one step of `step`, written by qrlc 0.1.0 in the OpenQASM 3 of Amazon Braket.
// Settings: n = 4, layers = 2, hidden = 16, classes = 3.
// The qubits hold what the step before left in them; before the first, |0⟩.
//
// The host computes these angles before each run:
//   theta_0 = %7[0]
//   theta_1 = %7[1]
//   theta_2 = %7[2]
//   theta_3 = %7[3]
//   theta_4 = %7[4]
//   theta_5 = %7[5]
//   theta_6 = %7[6]
//   theta_7 = %7[7]
//   theta_8 = %7[8]
//   theta_9 = %7[9]
//   theta_10 = %7[10]
//   theta_11 = %7[11]
//   theta_12 = %7[12]
//   theta_13 = %7[13]
//   theta_14 = %7[14]
//   theta_15 = %7[15]
//   theta_16 = %7[16]
//   theta_17 = %7[17]
//   theta_18 = %7[18]
//   theta_19 = %7[19]
//   theta_20 = %7[20]
//   theta_21 = %7[21]
//   theta_22 = %7[22]
//   theta_23 = %7[23]
OPENQASM 3.0;
input float theta_0;
input float theta_1;
input float theta_2;
input float theta_3;
input float theta_4;
input float theta_5;
input float theta_6;
input float theta_7;
input float theta_8;
input float theta_9;
input float theta_10;
input float theta_11;
input float theta_12;
input float theta_13;
input float theta_14;
input float theta_15;
input float theta_16;
input float theta_17;
input float theta_18;
input float theta_19;
input float theta_20;
input float theta_21;
input float theta_22;
input float theta_23;
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
cnot memory[0], memory[1];
cnot memory[1], memory[2];
cnot memory[2], memory[3];
cnot memory[3], memory[0];
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
cnot memory[0], memory[1];
cnot memory[1], memory[2];
cnot memory[2], memory[3];
cnot memory[3], memory[0];
