"""`rcrun build`: a Containerfile and a context become an image.

graph.py     which stages are built, in which order: pure
state.py     what a stage is so far, and what instructions make of its configuration: pure
cache.py     layers by what they were made of
steps.py     RUN, COPY, ADD, WORKDIR: from a state and an instruction to one layer more
builder.py   the stages, side by side
ending.py    the image, what it says of itself, its names; outputs.py, platforms.py, squash.py: other places and forms of it
remotecache.py, verify.py, failure.py, devices.py: what only an option asks for
"""
