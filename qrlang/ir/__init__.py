"""The intermediate representation: types, the program, its text form and its verifier."""
