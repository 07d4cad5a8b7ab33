"""Which version this is, and of which runtime-spec (`ociVersion`; spec.md, "Specification version")."""

VERSION = "0.1.0"
SPEC_VERSION = "1.2.0"
"""Written into State, `spec` and `features`; any config.json from 1.0.0 to this minor is taken."""


def is_spoken(version: str) -> bool:
    """Whether a version is 1.0 to the minor of our own, written as SemVer has it; "-dev" and the like may follow."""
    numbers = version.partition("+")[0].partition("-")[0].split(".")
    if len(numbers) != 3 or not all(number.isascii() and number.isdigit() for number in numbers):
        return False
    if any(number != str(int(number)) for number in numbers):
        return False  # no leading zeros
    return numbers[0] == "1" and int(numbers[1]) <= int(SPEC_VERSION.split(".")[1])
