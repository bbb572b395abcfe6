"""What the compiler lowers to: one subpackage a target."""

if __name__ == "backends":  # found through the checkout's root: it would be a second copy
    raise ImportError("import this package as 'qrlang.backends', not as 'backends'")
