from __future__ import annotations

import re

import pytest

from detkit.config import Config, ConfigError, apply_overrides
from detkit.data.augment import AugmentationConfig, Augmenter
from detkit.data.augment.config import ModelSizeConfig
from detkit.preprocess import PreprocessConfig


class Settings(Config):
    augmentation: AugmentationConfig = AugmentationConfig()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("augmentation.preset=flop", "augmentation.preset: expected"),
        (
            "augmentation=sdd",
            "expected 'none', 'flip', 'light', 'multiscale', 'lsj', 'ssd', 'yolox', 'rtdetr', 'deim' or 'micrographs', got 'sdd'",
        ),
        ("augmentation.filp=0.5", "unknown key 'augmentation.filp': did you mean 'flip'?"),
        ("augmentation.flip=often", "augmentation.flip: expected a number, got 'often'"),
        ("augmentation.flip=1.5", "augmentation.flip: expected less than or equal to 1, got 1.5"),
        ("augmentation.mosaic=2", "augmentation.mosaic.probability: expected less than or equal to 1, got 2.0"),
        ("augmentation.mosaic.scale=2,1", "augmentation.mosaic.scale: expected (minimum, maximum), got (2.0, 1.0)"),
        ("augmentation.resize=shortside", "augmentation.resize: unknown kind 'shortside': did you mean 'short_side'?"),
        ("augmentation.resize.factors=0,1", "augmentation.resize.factors: expected numbers above 0, got (0.0, 1.0)"),
        ("augmentation.extra=Gaussian Blur(", "augmentation.extra: expected calls such as 'GaussianBlur(p=0.2)', got 'Gaussian Blur('"),
    ],
)
def test_overrides(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        apply_overrides(Settings(), [override])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("GausianBlur(p=0.2)", "augmentation.extra: albumentations has no transform 'GausianBlur': did you mean 'GaussianBlur'?"),
        ("GaussianBlur(probability=0.2)", "augmentation.extra: GaussianBlur has no argument 'probability': expected one of: "),
        ("GaussianBlur(blur_limt=3)", "augmentation.extra: GaussianBlur has no argument 'blur_limt': did you mean 'blur_limit'?"),
        ("GaussianBlur(p=7.0)", "augmentation.extra: GaussianBlur cannot be constructed with {'p': 7.0}: "),
        ("GaussianBlur(0.5)", "expected a call with named arguments such as 'GaussianBlur(p=0.2)', got 'GaussianBlur(0.5)'"),
        ("GaussianBlur", "expected a call with named arguments such as 'GaussianBlur(p=0.2)', got 'GaussianBlur'"),
        ("__import__('os').system(command='x')", "expected a call with named arguments"),
        ("GaussianBlur(p=open('x'))", "expected plain numbers, strings and tuples as arguments, got \"GaussianBlur(p=open('x'))\""),
        ("Compose(transforms=())", "albumentations has no transform 'Compose'"),
    ],
)
def test_extra_transforms(call: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        Augmenter(AugmentationConfig(extra=(call,)))
    assert "\n" not in str(caught.value)


def test_scale_factors_for_a_fixed_input_size() -> None:
    config = AugmentationConfig(resize=ModelSizeConfig(factors=(0.8, 1.0)))
    with pytest.raises(ValueError, match=re.escape("expected (1.0,) for a model with the fixed input size (300, 300), got (0.8, 1.0)")):
        Augmenter(config, PreprocessConfig(rule="fixed", input_size=(300, 300)))
