"""Examples of each command, shown below its help."""

from __future__ import annotations

EXAMPLES = {
    "encode": ["song.mp3 -o song.btk", "album/ -o tokens/"],
    "decode": ["song.btk -o song.wav", "song.btk -o part.flac --start 30 --end 60"],
    "reconstruct": ["song.wav -o out.wav --plot out.png"],
    "generate": [
        '"solo harp, slow" -o harp.wav',
        '"techno" -o techno.wav --bpm 132 --seed 3',
        "--prompts prompts.txt -o clips/ --num-samples 2",
        '"the same, with drums" -o longer.wav --continue-from song.wav --duration 20',
    ],
    "edit": ['song.wav -o edit.wav --region 3-6s,2000-8000Hz --prompt "soft bells"'],
    "info": ["song.btk"],
    "verify": ["tokens/*.btk", "damaged.btk --salvage kept.btk"],
    "golden": [""],
    "export": ["runs/lm -o my-model/lm"],
    "train": [
        "tokenizer default --data my-music -o runs/tokenizer",
        "lm default --data shards -o runs/lm --max-minutes 60 --set batch_size=8",
        "lm bundled --describe",
    ],
    "serve": ["--port 8765"],
    "mcp": ["--folder my-music"],
    "report": ["--ab song.wav -o page.html", "--generated clips/ -o page.html"],
    "data manifest": ["my-music"],
    "data describe": ["my-music"],
    "data tokenize": ["my-music -o shards"],
    "data captions": ["shards"],
    "evaluate reconstruction": ["my-music -o report --split all"],
    "evaluate generation": ["clips --reference my-music -o report --prompts prompts.txt"],
    "evaluate tokens": ["my-music -o report --lm bundled"],
}


def epilog(name: str, *more: str) -> str:
    """Return the text below the help of a command: examples, then `more` paragraphs."""
    lines = [f"bandtok {name} {arguments}".rstrip() for arguments in EXAMPLES[name]]
    return "\n\n".join(["Examples:", *lines, *more])
