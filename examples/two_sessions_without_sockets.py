"""Two BGP sessions talk in memory: octets and the time go in, events and octets come out."""

from pybgp import IPV4_UNICAST, AsPath, Attributes, PeerConfig, Session, encode_updates, parse_prefix

left = Session(PeerConfig("192.0.2.2", remote_as=64502, local_as=64501, router_id=1))
right = Session(PeerConfig("192.0.2.1", remote_as=64501, local_as=64502, router_id=2), incoming=True)
for session in (left, right):
    session.start(now=0.0)
    session.connection_made(now=0.0)
for second in range(4):
    for sender, receiver in ((left, right), (right, left)):
        for event in receiver.receive_data(sender.data_to_send(), now=second):
            print(f"AS{receiver.config.local_as} at {second}s: {event}")
    if second == 2 and left.negotiated:
        attributes = Attributes.build({1: 0, 2: AsPath.sequence(64501)}, next_hop=bytes([192, 0, 2, 1]))
        key = parse_prefix("198.51.100.0/24")[1]
        left.send(b"".join(encode_updates(IPV4_UNICAST, [key], attributes, left.negotiated)), now=second)
