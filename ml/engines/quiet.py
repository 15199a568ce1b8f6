"""OpenVINO without its messenger. Nothing else in the product imports `openvino`.

`import openvino` loads its model converter, and the converter tells Google Analytics of every
import (`openvino_telemetry`; no question asked, consent is assumed where no one declined). A
hospital's worker tells nobody anything. The product builds its graphs itself and needs no
converter, so neither module is let in; OpenVINO is written to do without both.
"""

import sys

for _module in ("openvino_telemetry", "openvino.tools.ovc"):
    sys.modules.setdefault(_module, None)  # type: ignore[arg-type]  # None: its import fails

import openvino  # noqa: E402
from openvino import opset13 as ops  # noqa: E402

__all__ = ["openvino", "ops"]
