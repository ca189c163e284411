"""Labels over the network: the KServe v2 protocol around a `Pipeline`, and repositories for OpenVINO Model Server.

rig.py          matrices -> a rig
tensors.py      one tensor of a request, checked
frame.py        a request -> images and a rig
address.py      host and ports
failures.py     an exception -> what the client is told
v2/             the server; protocol, types and gRPC stubs are those of the package `kserve` (extra `serve`)
repository.py   what `occvino export-server` writes

docs/serving.md says what was run.
"""
