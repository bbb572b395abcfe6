"""The CPU printer: a plan as machine code for this processor, made at run time through LLVM."""
