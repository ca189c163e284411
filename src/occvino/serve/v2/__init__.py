"""What stands on the package `kserve`: nothing else of occvino imports it, and its pins do not go together with ours.

model.py     the model that the server calls
plane.py     requests by HTTP, whose tensors follow the JSON as bytes
http.py      the HTTP side
rpc.py       the gRPC side
server.py    both, from start to end
"""
