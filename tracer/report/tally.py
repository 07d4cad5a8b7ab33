"""How often each system call was made."""

from collections import Counter

from tracer.model import TraceModel


def tally(model: TraceModel) -> Counter[str]:
    """Finished calls by name."""
    numbers = Counter(model.numbers[call] for call in model.calls)
    names = {number: signature.name for number, signature in model.header.syscalls.items()}
    return Counter({names.get(number, f"syscall_{number}"): count for number, count in numbers.items()})
