"""CLIP's text tower (arXiv:2103.00020, section 2.4), filled from a file of a whole CLIP."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

log = logging.getLogger(__name__)

_AT_ONCE = 64
_LAYER = "transformer.resblocks."
_HEAD_WIDTH = 64
"""Of every attention head of every CLIP that OpenAI released."""


def require_open_clip() -> None:
    """Check that the library is here, without importing it.

    Raises:
        ImportError: it is not; the message has the command that installs it.
    """
    if importlib.util.find_spec("open_clip") is None:
        raise ImportError(
            "phrases are read by open_clip, which is not here: run `pip install open_clip_torch` (detkit's extra `clip`); "
            "a checkpoint that has its phrases already needs no such thing"
        )


def text_tower(tensors: Mapping[str, Tensor], *, quick_gelu: bool = True) -> TextTower:
    """The text tower of a whole CLIP, its sizes read from its tensors.

    Args:
        tensors: Under OpenAI's names, or open_clip's with ``text.`` before them; those of the image tower are passed over.
        quick_gelu: Whether it was trained with OpenAI's approximation of GELU.

    Raises:
        ImportError: open_clip is not here.
        ValueError: there is no text tower in the file.
    """
    require_open_clip()
    from open_clip.tokenizer import SimpleTokenizer
    from open_clip.transformer import QuickGELU, TextTransformer

    own = {name.removeprefix("text."): tensor for name, tensor in tensors.items() if not name.startswith("visual.")}
    missing = [name for name in ("token_embedding.weight", "positional_embedding", "text_projection") if name not in own]
    if missing:
        raise ValueError(f"expected a whole CLIP with its text tower, got a file without {', '.join(missing)}")
    (vocabulary, width), (length, _) = own["token_embedding.weight"].shape, own["positional_embedding"].shape
    network = TextTransformer(
        context_length=length,
        vocab_size=vocabulary,
        width=width,
        heads=max(1, width // _HEAD_WIDTH),
        layers=len({name.split(".")[2] for name in own if name.startswith(_LAYER)}),
        output_dim=own["text_projection"].shape[1],
        act_layer=QuickGELU if quick_gelu else nn.GELU,
    )
    wanted = network.state_dict()
    wrong = [name for name, tensor in wanted.items() if name not in own or own[name].shape != tensor.shape]
    if wrong:
        raise ValueError(f"expected the text tower of a CLIP, got {len(wrong)} tensors amiss: {', '.join(wrong[:3])}")
    network.load_state_dict({name: own[name].float() for name in wanted})
    return TextTower(network.eval(), SimpleTokenizer(context_length=length))


class TextTower:
    """Gives embeddings of phrases.

    Args:
        network: Token numbers ``(N, length)`` to embeddings ``(N, D)``.
        tokenizer: Texts to token numbers.
    """

    def __init__(self, network: nn.Module, tokenizer: Any) -> None:
        self.network, self.tokenizer = network, tokenizer

    @torch.no_grad()
    def embed(self, phrases: Sequence[str], templates: Sequence[str] = ("{}",)) -> Tensor:
        """``(N, D)`` of length 1: the mean of the embeddings, each of length 1, of a phrase in every template (section 3.1.4)."""
        prompts = [template.replace("{}", phrase) for phrase in phrases for template in templates]
        for prompt in prompts:
            if len(self.tokenizer.encode(prompt)) + 2 > self.tokenizer.context_length:
                log.warning("%r is longer than the text tower reads; its end is cut", prompt)
        rows = torch.cat([self.network(self.tokenizer(prompts[start : start + _AT_ONCE])) for start in range(0, len(prompts), _AT_ONCE)])
        means = functional.normalize(rows, dim=1).view(len(phrases), len(templates), -1).mean(1)
        return functional.normalize(means, dim=1)
