"""What weights and layers are called as attributes of the module."""

from __future__ import annotations

import keyword
import re

# What a derived class would hide: `nn.Module`'s own names and those of `runtime.Model`.
TAKEN = frozenset(
    """
    T_destination add_module apply bfloat16 buffers call_super_init children compile cpu
    cuda double dump_patches eval extra_repr float forward get_buffer get_extra_state
    get_parameter get_submodule half ipu load_state_dict modules mtia named_buffers
    named_children named_modules named_parameters parameters register_backward_hook
    register_buffer register_forward_hook register_forward_pre_hook
    register_full_backward_hook register_full_backward_pre_hook
    register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module
    register_parameter register_state_dict_post_hook register_state_dict_pre_hook
    requires_grad_ set_extra_state set_submodule share_memory state_dict to to_empty train
    training type xpu zero_grad inputs program road shots trajectories readout_error
    gate_error generator like native chosen_road begin result checked checks edited faults
    processor settle
    """.split()  # noqa: SIM905
)


def attribute(name: str) -> str:
    """A weight's or layer's name as an attribute of the module."""
    name = re.sub(r"\W", "_", name)
    if keyword.iskeyword(name) or name in TAKEN or name[:1].isdigit() or name.startswith("_"):
        return f"{name}_" if not name[:1].isdigit() else f"w{name}"
    return name


def weight_path(name: str) -> tuple[str, ...]:
    """`steer.w1` -> ("steer", "w1"), as attributes of the module."""
    return tuple(attribute(part) for part in name.split("."))


def state_name(name: str) -> str:
    """What `state_dict` calls a weight of the program, or a layer's part of it."""
    return ".".join(weight_path(name))


def camel(name: str) -> str:
    return (
        "".join(part[:1].upper() + part[1:] for part in re.split(r"\W|_", name) if part) or "Layer"
    )
