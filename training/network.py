"""MiniLM-L6 with one linear layer of heads, and an additive head whose parts are the evidence.

Written out rather than taken from a library: the training needs torch alone, and the exported graph
holds only what is here. The weights' names are BERT's (Devlin et al. 2019; Wang et al. 2020).
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH, LAYERS, HEADS, INNER = 384, 6, 12, 1536
LONGEST = 128

# Head: how many logits it has. Their order is the order of the columns that the model puts out.
COLUMNS: dict[str, int] = {
    "three": 3,  # negative, neutral, positive as tweets are labelled
    "polarity": 3,  # the same as GoEmotions' comments have it
    "emotions": 8,
    "fine": 28,  # GoEmotions' own, only to teach
    "acts": 7,  # tweet acts, only to teach
    "irony": 1,
    "intents": 6,
}


class Layer(nn.Module):
    """One transformer layer, normalised after each half."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.norm1 = nn.LayerNorm(WIDTH, eps=1e-12)
        self.up = nn.Linear(WIDTH, INNER)
        self.down = nn.Linear(INNER, WIDTH)
        self.norm2 = nn.LayerNorm(WIDTH, eps=1e-12)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x: texts, tokens, WIDTH; mask: texts, 1, 1, tokens, added to what attention scores."""
        texts, tokens = x.shape[0], x.shape[1]
        parts = self.qkv(x).view(texts, tokens, 3, HEADS, WIDTH // HEADS)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        mixed = mixed.transpose(1, 2).reshape(texts, tokens, WIDTH)
        x = self.norm1(x + self.out(mixed))
        return self.norm2(x + self.down(F.gelu(self.up(x))))


class Network(nn.Module):
    """Token ids in; a row of logits, the mood, and each token's part of the mood out."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self.words = nn.Embedding(words, WIDTH)
        self.places = nn.Embedding(512, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, eps=1e-12)
        self.drop = nn.Dropout(0.1)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.look = nn.Linear(WIDTH, 1)
        self.mood = nn.Linear(WIDTH, 1)
        self.heads = nn.Linear(2 * WIDTH, sum(COLUMNS.values()))
        # Where the five labels meet on the scale of the mood, as steps so that they stay in order.
        self.first = nn.Parameter(torch.tensor(-3.0))
        self.steps = nn.Parameter(torch.full((3,), 1.0))
        # EmoBank's valence, the lexicon's ratings and tweets' valence on the scale of the mood.
        self.scales = nn.Parameter(torch.tensor([[0.1, 0.0], [0.25, 0.0], [0.25, 0.0]]))
        nn.init.zeros_(self.look.weight)
        nn.init.normal_(self.mood.weight, std=0.05)
        nn.init.normal_(self.heads.weight, std=0.02)
        nn.init.zeros_(self.heads.bias)

    def cuts(self) -> Tensor:
        """The four moods at which the five labels meet."""
        return torch.cat([self.first[None], self.first + torch.cumsum(F.softplus(self.steps), 0)])

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """ids and mask (1 for a token, 0 for padding): texts, tokens."""
        there = mask.to(torch.float32)
        places = torch.arange(ids.shape[1], device=ids.device)
        x = self.norm(self.words(ids) + self.places(places)[None])
        blocked = ((1.0 - there) * -10_000.0)[:, None, None, :].to(x.dtype)
        for layer in self.layers:
            x = layer(x, blocked)
        gaze = self.look(x).squeeze(-1).float() + (1.0 - there) * -10_000.0
        share = torch.softmax(gaze, dim=-1)
        parts = share * self.mood(x).squeeze(-1).float()
        x = x.float()
        mean = (x * there[..., None]).sum(1) / there.sum(1, keepdim=True).clamp(min=1.0)
        seen = (x * share[..., None]).sum(1)
        pooled = self.drop(torch.cat([mean, seen], dim=-1))
        return self.heads(pooled.to(self.heads.weight.dtype)), parts.sum(-1), parts


def columns(name: str) -> slice:
    """Where a head's logits stand in the row."""
    start = 0
    for each, width in COLUMNS.items():
        if each == name:
            return slice(start, start + width)
        start += width
    raise KeyError(name)


def start(folder: Path, vocabulary: list[str], added: dict[str, list[int]]) -> Network:
    """MiniLM's weights; each word that was added begins as the mean of the words that name it."""
    old = load_file(folder / "model.safetensors")
    old = {name.removeprefix("bert."): value for name, value in old.items()}
    net = Network(len(vocabulary))
    words = old["embeddings.word_embeddings.weight"].clone()
    for index, word in enumerate(vocabulary):
        if word in added:
            words[index] = words[torch.tensor(added[word])].mean(0)
    state = {
        "words.weight": words + old["embeddings.token_type_embeddings.weight"][0],
        "places.weight": old["embeddings.position_embeddings.weight"],
        "norm.weight": old["embeddings.LayerNorm.weight"],
        "norm.bias": old["embeddings.LayerNorm.bias"],
    }
    for i in range(LAYERS):
        from_, to = f"encoder.layer.{i}.", f"layers.{i}."
        for kind in ("weight", "bias"):
            state[f"{to}qkv.{kind}"] = torch.cat(
                [old[f"{from_}attention.self.{part}.{kind}"] for part in ("query", "key", "value")]
            )
            state[f"{to}out.{kind}"] = old[f"{from_}attention.output.dense.{kind}"]
            state[f"{to}norm1.{kind}"] = old[f"{from_}attention.output.LayerNorm.{kind}"]
            state[f"{to}up.{kind}"] = old[f"{from_}intermediate.dense.{kind}"]
            state[f"{to}down.{kind}"] = old[f"{from_}output.dense.{kind}"]
            state[f"{to}norm2.{kind}"] = old[f"{from_}output.LayerNorm.{kind}"]
    missing, unexpected = net.load_state_dict(state, strict=False)
    assert not unexpected and all(
        name.split(".")[0] in {"look", "mood", "heads", "first", "steps", "scales"}
        for name in missing
    ), (missing, unexpected)
    return net


def freeze(net: Network, layers: int | None) -> None:
    """Keep the embeddings and the first layers as they are; None trains everything."""
    if layers is None:
        return
    below = ("words.", "places.", "norm.", *(f"layers.{each}." for each in range(layers)))
    for name, value in net.named_parameters():
        value.requires_grad = not name.startswith(below)


def parameters(
    net: Network, rate: float, head_rate: float, decay: float
) -> list[dict[str, object]]:
    """Optimiser groups: the encoder, and what is new; no decay on biases and norms."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, value in net.named_parameters():
        if not value.requires_grad:
            continue
        new = name.split(".")[0] in {"look", "mood", "heads", "first", "steps", "scales"}
        groups.setdefault((new, value.ndim >= 2), []).append(value)
    return [
        {
            "params": values,
            "lr": head_rate if new else rate,
            "full": head_rate if new else rate,
            "weight_decay": decay if heavy else 0.0,
        }
        for (new, heavy), values in groups.items()
    ]


def ordinal(mood: Tensor, cuts: Tensor) -> Tensor:
    """The chance of being above each cut, as logits: texts, 4."""
    return 2.0 * (mood[:, None] - cuts[None])


__all__ = ["COLUMNS", "LONGEST", "Network", "columns", "ordinal", "parameters", "start"]
