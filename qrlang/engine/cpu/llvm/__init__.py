"""Writing LLVM IR, and turning it into code for this processor."""
