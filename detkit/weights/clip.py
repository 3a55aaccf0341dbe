"""CLIP's released files, each with both towers; a test compares the entries with open_clip."""

from __future__ import annotations

from detkit.weights.entry import WeightEntry

_AZURE = "https://openaipublic.azureedge.net/clip/models/"


def _clip(name: str, file_name: str, sha256: str, parameters: int) -> WeightEntry:
    """Return the entry of an OpenAI file, whose address contains its whole SHA-256; the parameters were counted by us."""
    return WeightEntry(
        name=name,
        kind="detector",
        model=name,
        file_name=file_name,
        url=f"{_AZURE}{sha256}/{file_name}",
        size=None,
        sha256=sha256,
        training_data="400 million images with captions (arXiv:2103.00020, section 2.2); no boxes",
        parameters=parameters,
        source="open_clip_torch 3.3.0, pretrained.py; license: github.com/openai/CLIP",
        license="MIT",
    )


CLIPS = (
    _clip("clip_rcnn", "ViT-B-32.pt", "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af", 151277313),
    _clip("clip_rcnn_vit_b16", "ViT-B-16.pt", "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f", 149620737),
    _clip("clip_rcnn_rn50", "RN50.pt", "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762", 102007137),
    _clip("clip_rcnn_rn101", "RN101.pt", "8fa8567bab74a42d41c5915025a8e4538c3bdbe8804a470a72f30b0d94fab599", 119688033),
    _clip("clip_rcnn_rn50x4", "RN50x4.pt", "7e526bd135e493cef0776de27d5f42653e6b4c8bf9e0f653bb11773263205fdd", 178300601),
)
