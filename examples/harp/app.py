"""BandTok in a DAW through HARP 3 (REAPER, Logic Pro, Ableton Live).

Needs pyharp from https://github.com/TEAMuP-dev/pyharp and Gradio 6.13 or newer:

    pip install bandtok 'gradio>=6.13'
    git clone https://github.com/TEAMuP-dev/pyharp && pip install ./pyharp
    python examples/harp/app.py

Then open the printed address as a custom path in HARP.
"""

from __future__ import annotations

import secrets
import tempfile
from functools import cache
from pathlib import Path

import bandtok


@cache
def load_model() -> bandtok.MusicModel:
    """Load the bundled model once per worker process."""
    return bandtok.MusicModel.from_pretrained()


def process(
    audio_path: str | None,
    prompt: str,
    start: float,
    end: float,
    low: float,
    high: float,
    more: float,
    seed: float,
) -> str:
    """Generate, continue or edit, by which fields are set; return the path of a WAV file.

    Args:
        audio_path: the selected audio; without it, music is generated.
        prompt: describes the music.
        start, end: seconds to regenerate; an `end` of 0 is the end of the audio.
        low, high: Hz to regenerate; a `high` of 0 is the top of the spectrum.
        more: seconds of new music: after the audio, or in all without audio; 0 edits the audio.
        seed: -1 chooses one.
    """
    model = load_model()
    number = secrets.randbelow(1 << 31) if seed < 0 else int(seed)
    if audio_path is None:
        clip = model.generate(prompt, more or 10.0, number)
    elif more > 0:
        clip = model.generate(prompt, more, number, continue_from=audio_path)
    else:
        region = bandtok.Region(seconds=(start, end or None), hertz=(low, high or None))
        clip = model.edit(audio_path, region, prompt, number)
    target = Path(tempfile.mkdtemp(prefix="bandtok-harp-")) / "bandtok.wav"
    clip.audio.save(target)
    return str(target)


def main() -> None:
    """Build and launch the endpoint."""
    import gradio as gr  # noqa: PLC0415  # only where the app runs
    import pyharp  # noqa: PLC0415

    card = pyharp.ModelCard(
        name="BandTok",
        author="The BandTok authors",
        description="Generate music from a prompt, continue the selection, or regenerate a region "
        "of it in seconds and Hz.",
        tags=["category:generation", "infilling", "continuation", "sample-rate:44100", "mono"],
    )
    with gr.Blocks() as page:
        pyharp.build_endpoint(
            model_card=card,
            input_components=[
                gr.Audio(type="filepath", label="Selection").harp_required(False),
                gr.Textbox(label="Prompt"),
                gr.Number(label="From (s)", value=0, minimum=0),
                gr.Number(label="To (s), 0: end", value=0, minimum=0),
                gr.Number(label="Low (Hz)", value=0, minimum=0),
                gr.Number(label="High (Hz), 0: top", value=0, minimum=0),
                gr.Number(label="New music (s), 0: edit", value=0, minimum=0, maximum=60),
                gr.Number(label="Seed, -1: random", value=-1, minimum=-1, precision=0),
            ],
            output_components=[gr.Audio(type="filepath", label="Result")],
            process_fn=process,
        )
    page.queue().launch(show_error=False)


if __name__ == "__main__":
    main()
