"""The version of the language, the compiler and the files that they write."""

VERSION = "0.1.0"
