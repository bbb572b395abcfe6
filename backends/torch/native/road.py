"""Road 1: the engine's kernel as one autograd node, on the tensors' own memory.

Here for the CPU; `cuda` has the same for a GPU.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrize import ParametrizationList

from qrlang.backends.torch.calls import sequence
from qrlang.backends.torch.calls.ends import check_ends
from qrlang.backends.torch.emit.body import needed
from qrlang.backends.torch.emit.names import weight_path
from qrlang.backends.torch.native import cuda, roots
from qrlang.backends.torch.native import head as heads
from qrlang.backends.torch.native.fit import why_not, with_targets, without_dropout
from qrlang.backends.torch.ops import first_order, plain, transformed
from qrlang.backends.torch.spaces import why_not_reversible
from qrlang.engine.bodies import together
from qrlang.engine.plan import plan
from qrlang.engine.resumable import opened
from qrlang.ir.text import parse_program

if TYPE_CHECKING:
    from qrlang.backends.torch.calls.interface import Interface

_DTYPES = {torch.float32: "float32", torch.float64: "float64"}


class _Prepared:
    """A program's plan, and its kernels by dtype."""

    def __init__(self, text: str, training: bool, segment: str = "") -> None:
        self.key = text, training
        program = parse_program(text)
        if not training:
            program = without_dropout(program)
        self.irreversible = why_not_reversible(program)
        self.program = with_targets(program)
        self.carries: tuple[str, ...] = ()
        if segment:
            open_ = opened(self.program, needed(self.program), segment == "next")
            self.program, self.carries = open_.program, open_.carries
        self.program, self.head = heads.split(self.program)
        self.program, self.roots = roots.split(self.program)
        program = self.program
        self.reason = why_not(program, segment)
        self.kernels: dict[torch.dtype, Any] = {}
        self.plan: Any = None
        if not self.reason:
            self.plan = plan(self.program, segment)
            self.cuda = cuda.Kernels(self.plan)
            self.paths = [weight_path(w.name) for w in self.plan.weights]
            shapes = {o.name: o.value.type.shape for o in program.outputs}
            self.shapes = [shapes[o.name] for o in self.plan.outputs]
            self.together = together(self.plan)
            if self.head is not None:
                self.shapes[self.head.output] = self.head.shape

    def segment(self, going_on: bool) -> _Prepared:
        """The same for a segment: the first, or a later one."""
        return _prepared(*self.key, "next" if going_on else "first")

    def kernel(self, dtype: torch.dtype) -> Any:
        if dtype not in self.kernels:
            from qrlang.engine.cpu.launch.kernel import kernel

            self.kernels[dtype] = kernel(self.plan, _DTYPES[dtype])
        return self.kernels[dtype]


_prepared = lru_cache(maxsize=128)(_Prepared)


@cache
def _compiles() -> bool:
    """Asked on every call, and looking for a package takes half a millisecond."""
    return find_spec("llvmlite") is not None


def _of(model: Interface) -> _Prepared:
    return _prepared(model.program, model.training and "dropout" in model.program)


def why_not_model(model: Interface) -> str:
    """The same for a module as it stands: its file, its device, its options."""
    if not model.program:
        return "the class was written by hand"
    if transformed():
        return "exports and transforms of `torch.func` go through torch's own operations"
    if model.edited:
        return "the file was edited, and the kernel is made from the program"
    where = machine(model)
    if not where:
        return f"the model is on {model.like.device}, and the kernels are for CPU and CUDA"
    if model.like.dtype not in _DTYPES:
        return f"the kernel knows float32 and float64, not {model.like.dtype}"
    if where == "cpu" and not _compiles():
        return "llvmlite is not installed"
    for name in ("shots", "trajectories", "readout_error", "gate_error"):
        if getattr(model, name):
            return f"`{name}` is set"
    prepared = _of(model)
    if prepared.reason:
        return prepared.reason
    changed = _changed_layer(model)
    if changed:
        return changed
    parts = [prepared]
    if model._segment is not None:
        parts = [prepared.segment(False), prepared.segment(True)]
    for part in parts:
        on_gpu = where == "cuda" and not part.reason
        reason = part.cuda.why_not(model.like.device) if on_gpu else part.reason
        if reason:
            return reason
    return ""


def _changed_layer(model: Interface) -> str:
    """A layer that would do something else than the program says, which the kernel can't know."""
    cls = next(c for c in type(model).__mro__ if "program" in c.__dict__)
    written = cls.__module__, nn.Module.__module__  # of a layer; of what only holds weights
    layers = [(name, layer) for name, layer in model._modules.items()]
    for name, layer in layers:
        if layer is None or isinstance(layer, ParametrizationList):
            continue
        if type(layer).forward.__module__ not in written or "forward" in layer.__dict__:
            return f"layer `{name}` is not as it was written"
        if layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks:
            return f"layer `{name}` has hooks"
        if "parametrizations" not in layer._modules:
            layers += [(f"{name}.{inner}", x) for inner, x in layer._modules.items()]
    return ""


def machine(model: Interface) -> str:
    """Whose kernels a module would take: "cpu", "cuda", or "" for none."""
    kind: str = model.like.device.type
    return kind if kind in ("cpu", "cuda") else ""


def why_not_reversible_model(model: Interface) -> str:
    """What keeps its states from being walked backwards, as far as its program says."""
    if transformed():
        return "exports and transforms of `torch.func` go through torch's own operations"
    return "" if model.edited or not model.program else _of(model).irreversible


class _Node(torch.autograd.Function):
    """All of a model. Saved tensors are saved in torch's way too, so that a change in place, or a
    second backward, is an error and not a wrong gradient."""

    @staticmethod
    def forward(
        ctx: Any, kernel: Any, inputs: int, lengths: Any, seed: int | None, states: Any, left: Any,
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        plan = kernel.plan
        held = [plain(t) for t in tensors]
        places = [t.data_ptr() for t in held]
        times = [t.shape[1] if spec.seq else 1 for t, spec in zip(held, plan.inputs, strict=False)]
        sized = kernel.begin(len(held[0]) if inputs else 1, times)
        dtype = tensors[-1].dtype if len(tensors) > inputs else _dtype(kernel)
        outputs = [torch.empty(shape, dtype=dtype) for shape in sized.outputs]
        saved = kernel.run(
            sized, places[:inputs], places[inputs:], [y.data_ptr() for y in outputs],
            [0 if x is None else x.data_ptr() for x in lengths], seed, states,
        )  # fmt: skip
        saved.alive = held, lengths
        if plan.kept:
            left += map(torch.from_numpy, saved.take())
        ctx.kernel, ctx.inputs, ctx.saved, ctx.dtype = kernel, inputs, saved, dtype
        ctx.save_for_backward(*tensors)
        ctx.set_materialize_grads(False)
        return tuple(outputs)

    @staticmethod
    @first_order
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        tensors = ctx.saved_tensors  # raises if they were changed, or given back
        kernel, count = ctx.kernel, ctx.inputs
        held = [None if g is None else plain(g) for g in gradients]
        wanted = [
            torch.zeros_like(x, memory_format=torch.contiguous_format)
            if want and not spec.token else None
            for x, spec, want in zip(
                tensors[:count], kernel.plan.inputs, ctx.needs_input_grad[6:], strict=False
            )
        ]  # fmt: skip
        flat = torch.zeros(sum(kernel.counts), dtype=ctx.dtype)
        kernel.run_back(ctx.saved, _places(held), flat.data_ptr(), _places(wanted))
        parts = flat.split(kernel.counts) if kernel.counts else ()
        weights = [
            part if len(w.shape) == 1 else part.view(w.shape)
            for part, w in zip(parts, kernel.plan.weights, strict=True)
        ]
        return (None,) * 6 + (*wanted, *weights)


def _places(tensors: Sequence[Tensor | None]) -> list[int]:
    return [0 if t is None else t.data_ptr() for t in tensors]


def _dtype(kernel: Any) -> torch.dtype:
    return torch.float32 if kernel.fmt.size == 4 else torch.float64


def call(model: Interface, lengths: Any, given: Mapping[str, Tensor]) -> Any:
    """The result of a call, by the kernel."""
    prepared = _of(model)
    segment = model._segment
    if segment is not None:
        prepared = prepared.segment(segment.given is not None)
    inputs, own = model.checked(lengths, given)
    if prepared.together and (machine(model) == "cpu" or model.checks == "now"):
        check_ends(prepared.plan, prepared.together, inputs, own)
    for i, (x, length) in enumerate(zip(inputs, own, strict=True)):
        if length is not None and not x.is_floating_point():
            # What is behind the end may be no token at all, and kernels look it up.
            inputs[i] = sequence.Sequence(x, length, x.dim() - 2).filled(0)
    states: list[Tensor] = []
    if segment is not None and segment.given is not None:
        state = segment.given.to(model.like.dtype)
        states = segment.fitting(state.qubits, len(inputs[0]))
        inputs += segment.fitting(state.carried, len(inputs[0]))
        own += [None] * len(state.carried)
    left: list[Tensor] = []
    run = _on_cpu if machine(model) == "cpu" else _on_gpu
    outputs = run(model, prepared, inputs, own, states, left)
    if prepared.head is not None:
        outputs = _headed(model, prepared, own, outputs)
    if segment is not None:
        count = len(prepared.carries)
        carried = outputs[len(outputs) - count :]
        outputs = outputs[: len(outputs) - count]
        segment.leave(left, [
            y.detach().reshape(len(y), *shape) for y, shape in
            zip(carried, prepared.shapes[len(outputs) :], strict=True)
        ])  # fmt: skip
    return _shaped(prepared, outputs)


def _shaped(prepared: _Prepared, outputs: Sequence[Tensor]) -> Any:
    """By name, in the program's shapes; one alone is itself."""
    shaped = {
        out.name: y.reshape(*y.shape[:-1], *shape)
        for out, y, shape in zip(prepared.plan.outputs, outputs, prepared.shapes, strict=False)
    }
    return shaped if len(shaped) > 1 else next(iter(shaped.values()))


def _on_cpu(
    model: Interface, prepared: _Prepared, inputs: list[Tensor], lengths: list[Tensor | None],
    states: list[Tensor], left: list[Tensor],
) -> Any:  # fmt: skip
    kernel = prepared.kernel(model.like.dtype)
    weights = _weights(model, prepared)
    specs = prepared.plan.inputs
    ends = [x for x, spec in zip(lengths, specs, strict=True) if spec.seq]
    for x, spec in zip(inputs, specs, strict=True):
        if spec.token and x.numel() and not 0 <= int(x.min()) <= int(x.max()) < spec.size:
            raise ValueError(f"input `{spec.name}` has tokens outside 0 … {spec.size - 1}")
    from qrlang.engine.cpu.launch.kernel import NotFinite

    begun = [x.resolve_conj().numpy() for x in states]
    try:
        return _Node.apply(
            kernel, len(inputs), ends, _seed(model, kernel), begun, left, *inputs, *weights
        )
    except NotFinite as error:
        raise FloatingPointError(str(error)) from None


def _headed(
    model: Interface, prepared: _Prepared, lengths: list[Tensor | None], outputs: tuple[Tensor, ...]
) -> tuple[Tensor, ...]:
    """The outputs with the layer on them that the kernel has not got."""
    head, found = prepared.head, list(outputs)
    assert head is not None
    x, ends = found[head.output], lengths[prepared.plan.outputs[head.output].clock]
    weight, *rest = (_weight(model, w.name, w.shape, x) for w in head.weights)
    bias = rest[0] if rest else None
    if head.gain != 1:
        x = head.gain * x
    if bias is not None and ends is not None:
        # Behind a sequence's end x is zero, and so is the result: the bias is taken zero times.
        inside = torch.arange(x.shape[1], device=x.device) < ends[:, None]
        x = torch.cat([x, inside[..., None].to(x.dtype)], -1)
        weight, bias = torch.cat([weight, bias[:, None]], 1), None
    found[head.output] = functional.linear(x, weight, bias)
    return tuple(found)


def _on_gpu(
    model: Interface, prepared: _Prepared, inputs: list[Tensor], lengths: list[Tensor | None],
    states: list[Tensor], left: list[Tensor],
) -> Any:  # fmt: skip
    kernel = prepared.cuda.on(model.like.device, _DTYPES[model.like.dtype])
    weights = _weights(model, prepared)
    return cuda.call(
        model, kernel, _seed(model, kernel), inputs, lengths, weights, states, left
    )  # fmt: skip


def _weights(model: Interface, prepared: _Prepared) -> list[Tensor]:
    """In the order of the plan: the model's own, and what is made of them."""
    own, made = model.like, {}
    if prepared.roots is not None:
        asked = prepared.roots.program.weights
        made = prepared.roots.values({w.name: _weight(model, w.name, w.shape, own) for w in asked})
    return [
        made[w.name] if w.name in made else _weight(model, w.name, w.shape, own, path)
        for w, path in zip(prepared.plan.weights, prepared.paths, strict=True)
    ]


def _weight(
    model: Interface, name: str, shape: tuple[int, ...], like: Tensor,
    path: tuple[str, ...] | None = None,
) -> Tensor:  # fmt: skip
    """Of the shape, and of the type and on the device that are needed."""
    x = follow(model, path or weight_path(name))
    if x.shape != shape:
        raise ValueError(f"weight `{name}` has shape {tuple(x.shape)}, not {shape}")
    return x if x.dtype is like.dtype and x.device == like.device else x.to(like)


def _seed(model: Interface, kernel: Any) -> int | None:
    """For what the kernel draws by lot: dropout."""
    if not kernel.random:
        return None
    return int(torch.randint(2**62, (), generator=model.generator))


def follow(model: Any, path: tuple[str, ...]) -> Tensor:
    for name in path:
        # Where modules keep them; what is computed (parametrised) is an attribute.
        held = model._modules.get(name)
        if held is None:
            held = model._parameters.get(name)
        model = getattr(model, name) if held is None else held
    found: Tensor = model
    return found
