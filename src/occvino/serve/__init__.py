"""Labels over the network: the KServe v2 protocol around a `Pipeline`, and repositories for OpenVINO Model Server.

rig.py       matrices -> a rig
tensors.py   one tensor of a request, checked
frame.py     a request -> images and a rig
failures.py  an exception -> what the client is told
model.py     the model that the server calls
plane.py     requests by HTTP, whose tensors follow the JSON as bytes
http.py      the HTTP side; rpc.py the gRPC side
server.py    both, from start to end
repository.py   `occvino export-server`

Protocol, types and gRPC stubs are those of the package `kserve` (extra `serve`), which only model.py, plane.py, http.py,
rpc.py and server.py import. docs/serving.md says what was run.
"""
