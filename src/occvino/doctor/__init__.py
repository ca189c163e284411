"""The doctor: what breaks between PyTorch, ONNX and OpenVINO, in anyone's module.

One file a pitfall: `signature`, `leaving` (tensor land), `frozen` (values), `operators` and `devices`, `solver`,
`parity`. `case` runs and exports, `watch` sees what happens while the module runs, `patch` and `flatten` are the cures.
"""

from occvino.doctor.examine import diagnose
from occvino.doctor.findings import DoctorError, Finding, Findings, Fix, Severity
from occvino.doctor.flatten import FlatModule, flatten
from occvino.doctor.patch import patch
from occvino.doctor.places import Place
from occvino.doctor.report import Report

__all__ = [
    "DoctorError",
    "Finding",
    "Findings",
    "Fix",
    "FlatModule",
    "Place",
    "Report",
    "Severity",
    "diagnose",
    "flatten",
    "patch",
]
