"""The standard library: modules written in the language itself (data, no Python)."""

if __name__ == "stdlib":  # found through the checkout's root: it would be a second copy
    raise ImportError("import this package as 'qrlang.stdlib', not as 'stdlib'")
