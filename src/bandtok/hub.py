"""Models on the Hugging Face hub: all networks of a model in one repository, with one card.

REPOSITORY/README.md, and per network KIND/config.json, model.safetensors, graphs, its own card
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from bandtok.checkpoint import CARD_FILE, HUB_FILES, find_model_folder
from bandtok.errors import CheckpointError
from bandtok.extras import require

_FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)


class HubModel:
    """A model that consists of stored networks.

    Attributes:
        parts: where each network came from, by kind; None is the bundled one. Empty for a model
            that was not loaded by name.
    """

    parts: Mapping[str, str | os.PathLike[str] | None] = {}

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool = False,
        token: str | None = None,
        commit_message: str = "Upload a BandTok model",
    ) -> str:
        """Upload the networks and a card made of their cards; `from_pretrained(repo_id)` loads it.

        Args:
            repo_id: "owner/name"; created if there is none.
            private: whether a repository that is created is private.
            token: access token; None for the one that `hf auth login` stored.
            commit_message: of the commit.

        Returns:
            The address of the commit.

        Raises:
            CheckpointError: if the model was not loaded by name, or the hub refuses it.
            MissingDependency: if huggingface_hub is not installed.
        """
        hub = require("huggingface_hub", "hub")
        with TemporaryDirectory() as folder:
            stage(self.parts, repo_id, Path(folder))
            try:
                api = hub.HfApi(token=token)
                api.create_repo(repo_id, private=private, exist_ok=True)
                return str(
                    api.upload_folder(
                        repo_id=repo_id, folder_path=folder, commit_message=commit_message
                    )
                )
            except (hub.errors.HfHubHTTPError, ValueError, OSError) as error:
                reason = (str(error).strip() or type(error).__name__).splitlines()[0]
                raise CheckpointError(f"cannot upload to {repo_id!r}: {reason}") from None


def stage(parts: Mapping[str, str | os.PathLike[str] | None], repo_id: str, folder: Path) -> None:
    """Write what is to be uploaded.

    Raises:
        CheckpointError: if there are no parts, or one is missing.
    """
    if not parts:
        raise CheckpointError(
            "this model was not loaded by name; save its networks and load them by from_pretrained"
        )
    cards = {}
    for kind, name in parts.items():
        source = find_model_folder(kind, name)
        (folder / kind).mkdir()
        for pattern in HUB_FILES:
            for path in source.glob(pattern):
                shutil.copyfile(path, folder / kind / path.name)
        card = source / CARD_FILE
        cards[kind] = card.read_text("utf-8") if card.is_file() else f"# {kind}\n"
    (folder / CARD_FILE).write_text(model_card(cards, repo_id), "utf-8")


def model_card(cards: Mapping[str, str], repo_id: str) -> str:
    """Return one card of the cards of networks, by kind.

    The license is stated only where all cards state the same one.
    """
    licenses = {_license(card) for card in cards.values()}
    music = "lm" in cards
    front = ["library_name: bandtok", "tags:", "- audio", "- music", "- bandtok"]
    if music:
        front.append("pipeline_tag: text-to-audio")
    if len(licenses) == 1 and (found := licenses.pop()):
        front.append(f"license: {found}")
    use = (
        f'model = bandtok.MusicModel.from_pretrained("{repo_id}")\n'
        'model.generate("a calm solo piano piece").audio.save("piano.wav")'
        if music
        else f'tokenizer = bandtok.Tokenizer.from_pretrained("{repo_id}")\n'
        'grid = tokenizer.encode("song.mp3")'
    )
    bodies = [re.sub(r"(?m)^# ", "## ", _FRONT_MATTER.sub("", card)) for card in cards.values()]
    return "\n".join(
        [
            "---",
            *front,
            "---",
            f"# {repo_id.rpartition('/')[2]}",
            "",
            "A BandTok model:",
            "",
            f"```python\nimport bandtok\n\n{use}\n```",
            "",
            *(body.strip() + "\n" for body in bodies),
        ]
    )


def _license(card: str) -> str | None:
    front = _FRONT_MATTER.match(card)
    found = re.search(r"(?m)^license: *(\S+)", front[1]) if front else None
    return found[1] if found else None
