"""Training of the tiny embedder: one vector per token; the vector of a text is their mean.

Texts of the same family and wording are pulled together, all others in a batch are pushed apart (InfoNCE).
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from torch.nn.functional import cross_entropy, normalize
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

TEMPERATURE = 0.05


def train_embedder(
    pairs: Sequence[tuple[str, str]], tokenizer: PreTrainedTokenizerBase, dimensions: int, epochs: int = 4
) -> SentenceTransformer:
    """An embedder with `dimensions` dimensions, trained on `pairs` of texts that should be close to each other."""
    module = StaticEmbedding(tokenizer.backend_tokenizer, embedding_dim=dimensions)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    batch = 64
    for _ in tqdm(range(epochs), desc="embedder", unit="epoch"):
        for start in range(0, len(pairs) - batch + 1, batch):
            left, right = (
                normalize(_embed(module, [p[side] for p in pairs[start : start + batch]])) for side in (0, 1)
            )
            similarity = left @ right.T / TEMPERATURE  # (B, B), the pairs on the diagonal
            loss = cross_entropy(similarity, torch.arange(len(left)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return SentenceTransformer(modules=[module], device="cpu")


def _embed(module: StaticEmbedding, texts: Sequence[str]) -> torch.Tensor:
    return module(module.preprocess(list(texts)))["sentence_embedding"]


def save_embedder(model: SentenceTransformer, folder: Path) -> None:
    model.save_pretrained(str(folder), create_model_card=False)
