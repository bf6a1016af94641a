"""Live pictures: from a camera or a film that plays, through the network, to a pipe or a browser,
with a delay of two frames at most. What comes too late is dropped.
"""
