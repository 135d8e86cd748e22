"""Write the tiny random networks that the name "debug" loads: src/bandtok/weights/debug."""

from __future__ import annotations

from bandtok.checkpoint import BUNDLED
from bandtok.export import export_model
from bandtok.model_specs import SPECS
from bandtok.torch_checkpoint import debug_network, save_network

if __name__ == "__main__":
    for spec in SPECS:
        save_network(debug_network(spec), BUNDLED / "debug" / spec.name, spec.name)
    export_model("debug")
