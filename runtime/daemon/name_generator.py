"""Names for containers that were given none (moby: pkg/namesgenerator): a mood and a boat, a river or a lake.

Docker's scheme, an adjective and a surname joined by an underscore, with lists of our own.
"""

import random
from collections.abc import Callable

_MOODS = (
    "able airy amber ample blithe bold brave breezy bright brisk calm candid cheery civil clear clever cosy  "
    "crisp curious deft eager earnest easy fair fleet fond frank gentle glad glassy happy hardy honest jolly  "
    "keen kind lively lucid mellow merry mild modest nimble patient plucky polite proud quick quiet ready rosy  "
    "serene sharp sleek smart snug steady stout sunny swift tidy tranquil upbeat vivid warm watchful witty"
).split()

_WATERS = (
    "barge brig canoe catamaran clipper coracle corvette cutter dhow dinghy dory felucca ferry frigate galleon  "
    "galley gondola junk kayak ketch lugger punt raft schooner skiff sloop tender trawler tug yawl amazon clyde  "
    "danube dnieper douro ebro elbe ganges indus jordan lena loire mekong meuse moselle neckar niger nile oder  "
    "orinoco parana rhine rhone seine severn shannon tagus thames tiber volga yukon baikal como geneva ladoga  "
    "onega tana titicaca vanern victoria"
).split()


def generate(is_taken: Callable[[str], bool]) -> str:
    """A name that no container has."""
    for _ in range(8):
        name = f"{random.choice(_MOODS)}_{random.choice(_WATERS)}"  # noqa: S311 - a name, no secret
        if not is_taken(name):
            return name
    number = 1
    while is_taken(f"{name}{number}"):
        number += 1
    return f"{name}{number}"
