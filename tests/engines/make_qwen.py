"""Writes a random-weight Qwen2 model with its tokenizer, without any download.

Run it with an interpreter that has transformers and tokenizers (the engine's own):
    /opt/vllm/bin/python tests/engines/make_qwen.py DIR [--layers 24] [--hidden 896]
The default is the shape of a 0.5B model in bfloat16, about 0.92 GiB; --layers 28 --hidden 3584 that
of a 7B one, 14 GB.
"""

from __future__ import annotations

import argparse

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM


def main() -> None:
    """Writes config, weights and tokenizer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--hidden", type=int, default=896)
    parser.add_argument("--vocab", type=int, default=151936)
    parser.add_argument("--shard", default="600MB", help="largest size of a file (600MB)")
    parser.add_argument("--device", default="cpu", help="where weights are drawn: cuda is faster")
    options = parser.parse_args()
    torch.manual_seed(0)
    config = Qwen2Config(
        hidden_size=options.hidden,
        intermediate_size=options.hidden * 19 // 7 * 2,
        num_hidden_layers=options.layers,
        num_attention_heads=options.hidden // 64,
        num_key_value_heads=2,
        vocab_size=options.vocab,
        max_position_embeddings=32768,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
    )
    torch.set_default_dtype(torch.bfloat16)
    with torch.device(options.device):
        model = Qwen2ForCausalLM(config)
    model.save_pretrained(options.folder, max_shard_size=options.shard)
    # Bytes as tokens: Qwen2's own tokenizer takes no other kind, and any prompt has some then.
    tokens = ["<unk>", "<s>", "</s>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    words = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(words, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    ).save_pretrained(options.folder)


if __name__ == "__main__":
    main()
