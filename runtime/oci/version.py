"""Which version this is, and of which runtime-spec (`ociVersion`; spec.md, "Specification version")."""

VERSION = "0.1.0"
SPEC_VERSION = "1.2.0"
"""Written into State, `spec` and `features`: the newest minor whose every field is done here, or refused by name."""

LETTERS = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-")


def is_spoken(version: str) -> bool:
    """Whether a version is 1.something, written as SemVer has it (semver.org, 2).

    A minor newer than our own is backward compatible: its fields are new, and unknown ones the spec tells us to pass
    over. Callers write what their Go module is called, whichever fields they use.
    """
    rest, plus, build = version.partition("+")
    core, minus, pre_release = rest.partition("-")
    numbers = core.split(".")
    return (
        len(numbers) == 3
        and all(number.isdigit() and _is_identifier(number, leading_zeros=False) for number in numbers)
        and numbers[0] == "1"
        and (not minus or all(_is_identifier(part, leading_zeros=False) for part in pre_release.split(".")))
        and (not plus or all(_is_identifier(part, leading_zeros=True) for part in build.split(".")))
    )


def _is_identifier(part: str, *, leading_zeros: bool) -> bool:
    is_number_with_zeros = part.isdigit() and part[:1] == "0" and part != "0"
    return bool(part) and LETTERS.issuperset(part) and (leading_zeros or not is_number_with_zeros)
