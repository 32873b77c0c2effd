"""The Containerfile (Dockerfile) language as BuildKit's frontend 1.x reads it: text → stages of instructions. Pure."""

from __future__ import annotations

from rcrun.formats.containerfile.instructions import Instruction, Stage, parse

__all__ = ["Instruction", "Stage", "parse"]
