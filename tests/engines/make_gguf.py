"""Writes a GGUF model of random weights with a tokenizer of bytes, without any download.

Run it with an interpreter that has numpy and gguf (PyPI):
    python tests/engines/make_gguf.py FILE.gguf [--layers 12] [--width 1024]
The default is about 350 MB.
"""

from __future__ import annotations

import argparse

import gguf
import numpy as np

HEADS, KV_HEADS = 16, 4


def byte_tokens() -> list[str]:
    """Returns the 256 characters that stand for bytes in GPT-2's byte-level vocabulary."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = (chr(256 + number) for number in range(256 - len(printable)))
    return [chr(byte) if byte in printable else next(others) for byte in range(256)]


def main() -> None:
    """Writes the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=1024)
    options = parser.parse_args()
    width, wide = options.width, options.width * 11 // 4
    tokens = ["<unk>", "<s>", "</s>", *byte_tokens()]
    kinds = [gguf.TokenType.UNKNOWN, *[gguf.TokenType.CONTROL] * 2]

    model = gguf.GGUFWriter(options.file, "llama")
    model.add_context_length(4096)
    model.add_embedding_length(width)
    model.add_block_count(options.layers)
    model.add_feed_forward_length(wide)
    model.add_head_count(HEADS)
    model.add_head_count_kv(KV_HEADS)
    model.add_rope_dimension_count(width // HEADS)
    model.add_layer_norm_rms_eps(1e-5)
    model.add_vocab_size(len(tokens))
    model.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    model.add_tokenizer_model("gpt2")
    model.add_tokenizer_pre("gpt-2")
    model.add_token_list(tokens)
    model.add_token_types([*kinds, *[gguf.TokenType.NORMAL] * 256])
    model.add_token_merges(["\u0120 t"])  # an empty list is refused
    model.add_bos_token_id(1)
    model.add_eos_token_id(2)

    random = np.random.default_rng(0)

    def matrix(name: str, rows: int, columns: int) -> None:
        data = random.standard_normal((rows, columns), np.float32) / np.sqrt(columns)
        model.add_tensor(f"{name}.weight", data.astype(np.float16))

    def norm(name: str) -> None:
        model.add_tensor(f"{name}.weight", np.ones(width, np.float32))

    matrix("token_embd", len(tokens), width)
    for layer in range(options.layers):
        block = f"blk.{layer}"
        norm(f"{block}.attn_norm")
        matrix(f"{block}.attn_q", width, width)
        matrix(f"{block}.attn_k", width // HEADS * KV_HEADS, width)
        matrix(f"{block}.attn_v", width // HEADS * KV_HEADS, width)
        matrix(f"{block}.attn_output", width, width)
        norm(f"{block}.ffn_norm")
        matrix(f"{block}.ffn_gate", wide, width)
        matrix(f"{block}.ffn_up", wide, width)
        matrix(f"{block}.ffn_down", width, wide)
    norm("output_norm")
    matrix("output", len(tokens), width)
    model.write_header_to_file()
    model.write_kv_data_to_file()
    model.write_tensors_to_file()
    model.close()


if __name__ == "__main__":
    main()
