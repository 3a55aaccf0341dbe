"""CLIP's text tower (arXiv:2103.00020, section 2.4), loaded from a whole CLIP model."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_log = logging.getLogger(__name__)

_BATCH = 64
_LAYER = "transformer.resblocks."
_HEAD_WIDTH = 64
"""Width of the attention heads in every CLIP model released by OpenAI."""


def require_open_clip() -> None:
    """Check that open_clip is installed, without importing it.

    Raises:
        ImportError: If it is not; the message gives the command that installs it.
    """
    if importlib.util.find_spec("open_clip") is None:
        raise ImportError(
            "embedding phrases requires open_clip, which is not installed: run `pip install 'detkit-vision[clip]'`; "
            "a checkpoint that already contains its phrases does not need it"
        )


def text_tower(tensors: Mapping[str, Tensor], *, quick_gelu: bool = True) -> TextTower:
    """Build the text tower of a whole CLIP model, whose sizes are inferred from its tensors.

    Args:
        tensors: Under OpenAI's names, or open_clip's names with the prefix ``text.``; tensors of the image tower are ignored.
        quick_gelu: Whether the model was trained with OpenAI's approximation of GELU.

    Raises:
        ImportError: If open_clip is not installed.
        ValueError: If the file has no text tower.
    """
    require_open_clip()
    from open_clip.tokenizer import SimpleTokenizer
    from open_clip.transformer import QuickGELU, TextTransformer

    own = {name.removeprefix("text."): tensor for name, tensor in tensors.items() if not name.startswith("visual.")}
    missing = [name for name in ("token_embedding.weight", "positional_embedding", "text_projection") if name not in own]
    if missing:
        raise ValueError(f"expected a whole CLIP model with its text tower, got a file without {', '.join(missing)}")
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
    expected = network.state_dict()
    mismatched = [name for name, tensor in expected.items() if name not in own or own[name].shape != tensor.shape]
    if mismatched:
        raise ValueError(
            f"expected the text tower of a CLIP model, got {len(mismatched)} tensors that do not match: {', '.join(mismatched[:3])}"
        )
    network.load_state_dict({name: own[name].float() for name in expected})
    return TextTower(network.eval(), SimpleTokenizer(context_length=length))


class TextTower:
    """Computes embeddings of phrases.

    Args:
        network: Maps token ids ``(N, length)`` to embeddings ``(N, D)``.
        tokenizer: Converts texts to token ids.
    """

    def __init__(self, network: nn.Module, tokenizer: Any) -> None:
        self.network, self.tokenizer = network, tokenizer

    @torch.no_grad()
    def embed(self, phrases: Sequence[str], templates: Sequence[str] = ("{}",)) -> Tensor:
        """Return one unit-length embedding per phrase, ``(N, D)``: the normalized mean of its embeddings in all templates (section 3.1.4).

        The embeddings are normalized before they are averaged.
        """
        prompts = [template.replace("{}", phrase) for phrase in phrases for template in templates]
        for prompt in prompts:
            if len(self.tokenizer.encode(prompt)) + 2 > self.tokenizer.context_length:
                _log.warning("%r is longer than the context of the text tower and is truncated", prompt)
        rows = torch.cat([self.network(self.tokenizer(prompts[start : start + _BATCH])) for start in range(0, len(prompts), _BATCH)])
        means = functional.normalize(rows, dim=1).view(len(phrases), len(templates), -1).mean(1)
        return functional.normalize(means, dim=1)
