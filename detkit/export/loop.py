"""Loops in exported files, which torch's exporter cannot trace."""

from __future__ import annotations

from typing import Any


def insert_loop(model: Any, placeholder: str, body: Any) -> None:
    """Replace an operator that stands for a loop by the loop, in place.

    Args:
        model: An ``onnx.ModelProto`` with one such operator, whose inputs are the number of steps and tensors that every step reads.
        placeholder: ``domain::name`` of the operator; its output is that of all steps, stacked.
        body: An ``onnx.GraphProto`` of one step, whose inputs are these tensors and the number of the step, and which has one output.
    """
    from onnx import TensorProto, helper

    domain, name = placeholder.split("::")
    (position,) = (index for index, node in enumerate(model.graph.node) if (node.domain, node.op_type) == (domain, name))
    node = model.graph.node[position]
    count, *given = node.input
    *names, step = (value.name for value in body.input)
    _rename(body, f"{node.name}/step", dict(zip(names, given, strict=True)))
    step = f"{node.name}/step/{step}"
    going, still = f"{node.name}/step/going", f"{node.name}/step/still"
    inputs = [
        helper.make_tensor_value_info(step, TensorProto.INT64, []),
        helper.make_tensor_value_info(going, TensorProto.BOOL, []),
    ]
    outputs = [helper.make_tensor_value_info(still, TensorProto.BOOL, []), body.output[0]]
    nodes = [helper.make_node("Identity", [going], [still]), *body.node]
    steps = helper.make_graph(nodes, "step", inputs, outputs, body.initializer)
    loop = helper.make_node("Loop", [count, ""], list(node.output), name=f"{node.name}/loop", body=steps)
    model.graph.node[position].CopyFrom(loop)
    imports = [entry for entry in model.opset_import if entry.domain != domain]
    del model.opset_import[:]
    model.opset_import.extend(imports)


def _rename(graph: Any, prefix: str, outer: dict[str, str]) -> None:
    """Give the tensors of a graph names that occur nowhere else, and those that come from outside the names that they have there."""

    def renamed(name: str) -> str:
        return outer.get(name, f"{prefix}/{name}") if name else ""

    for part in (*graph.initializer, *graph.output):
        part.name = renamed(part.name)
    for node in graph.node:
        node.name = f"{prefix}/{node.name}"
        for names in (node.input, node.output):
            names[:] = [renamed(name) for name in names]
