"""What is secret never reaches the file, and everything keeps its length."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.redact import Redactor

SECRET = "hunter2hunter2"


def test_a_masked_environment_keeps_lengths_and_the_rest() -> None:
    """Only the value goes."""
    masked = Redactor().mask_environment((f"DB_PASSWORD={SECRET}", "PATH=/bin", "EMPTY_TOKEN="))

    assert masked == ("DB_PASSWORD=" + "*" * len(SECRET), "PATH=/bin", "EMPTY_TOKEN=")


def test_a_known_secret_is_masked_wherever_it_shows_up() -> None:
    """In the config.json that is made of it, for example."""
    redactor = Redactor()
    redactor.mask_environment((f"DB_PASSWORD={SECRET}",))

    masked = redactor.mask(f'{{"Env":["DB_PASSWORD={SECRET}"]}}'.encode())

    assert masked == b'{"Env":["DB_PASSWORD=' + b"*" * len(SECRET) + b'"]}'


def test_options_of_docker_run_are_masked() -> None:
    """-e in all its spellings, and --password."""
    argv = ("docker", "run", "-e", f"A_TOKEN={SECRET}", f"--env=B_TOKEN={SECRET}x", "--password", "opensesame", "x")
    stars = "*" * len(SECRET)

    masked = Redactor().mask_command(argv)

    assert masked == (
        "docker",
        "run",
        "-e",
        f"A_TOKEN={stars}",
        f"--env=B_TOKEN={stars}*",
        "--password",
        "**********",
        "x",
    )


def test_credentials_of_an_http_head_are_masked_and_remembered() -> None:
    """The scheme stays, the token goes, and goes from later messages too."""
    redactor = Redactor()
    head = (
        b"GET /v2/ HTTP/1.1\r\nHost: registry\r\nAuthorization: Bearer eyJhbGciOi\r\nX-Registry-Auth: eyJ1c2Vy\r\n\r\n"
    )

    masked = redactor.mask(head)

    assert masked == head.replace(b"eyJhbGciOi", b"*" * 10).replace(b"eyJ1c2Vy", b"*" * 8)
    assert redactor.mask(b"log: eyJ1c2Vy") == b"log: ********"


def test_short_values_are_masked_by_name_only() -> None:
    """A token `yes` must not blot out every yes."""
    redactor = Redactor()

    assert redactor.mask_environment(("MY_TOKEN=yes",)) == ("MY_TOKEN=***",)
    assert redactor.mask(b"yes and no") == b"yes and no"


@pytest.mark.parametrize("word", ["true", "root", "Postgres", "docker"])
def test_an_ordinary_word_is_masked_by_name_only(word: str) -> None:
    """`POSTGRES_PASSWORD=postgres` guards nothing, and must not blind the decoders of paths and JSON."""
    redactor = Redactor()

    assert redactor.mask_environment((f"DB_PASSWORD={word}",)) == ("DB_PASSWORD=" + "*" * len(word),)
    assert redactor.mask(f'"{word}"'.encode()) == f'"{word}"'.encode()


@pytest.mark.parametrize(
    "before",
    [b"SECRET_TOKEN=%s\n", b"A=b\0SECRET_TOKEN=%s\0", b'{"Env":["SECRET_TOKEN=%s"]}', b'{"password":"%s"}'],
)
@pytest.mark.parametrize("secret", [b"abc", SECRET.encode()])
def test_a_secret_is_masked_in_the_event_that_first_shows_it(before: bytes, secret: bytes) -> None:
    """The read of the env file itself, say."""
    assert Redactor().mask(before % secret) == before % (b"*" * len(secret))


def test_a_secret_learnt_from_captured_bytes_is_masked_without_its_name() -> None:
    """The container prints what came from an env file."""
    redactor = Redactor()
    redactor.mask(f"DB_PASSWORD={SECRET}\n".encode())

    assert redactor.mask(f"it is {SECRET}.".encode()) == b"it is " + b"*" * len(SECRET) + b"."


def test_a_word_after_a_name_in_running_text_is_masked_but_not_hunted() -> None:
    """A script may say `key=value` about anything."""
    redactor = Redactor()

    assert redactor.mask(b"if api_key=unknown then") == b"if api_key=******* then"
    assert redactor.mask(b"unknown") == b"unknown"


def test_a_secret_is_known_as_json_spells_it() -> None:
    """Python's encoder and Go's, which escapes HTML."""
    redactor = Redactor()
    redactor.learn(b'a"b<c\xc3\xa9')

    for spelling in (b'a\\"b<c\xc3\xa9', b'a\\"b<c\\u00e9', b'a\\"b\\u003cc\xc3\xa9', b'a"b<c\xc3\xa9'):
        assert redactor.mask(b"x" + spelling + b"y") == b"x" + b"*" * len(spelling) + b"y"


def test_a_secret_that_json_spells_is_known_as_it_is() -> None:
    """The container prints the value itself; the newline of a JSON log is no part of it."""
    redactor = Redactor()
    redactor.mask(b'{"log":"A_TOKEN=pass\\\\word\\n"}')

    assert redactor.mask(b"pass\\word\n") == b"*" * 9 + b"\n"


@given(st.integers(1, 300), st.booleans())
def test_a_stream_cut_anywhere_shows_no_secret(size: int, known: bool) -> None:
    """However the bytes are dealt out to reads, at most three of a secret are seen before a cut."""
    text = b"PLAIN=visible\nDB_PASSWORD=" + SECRET.encode() + b"\nA_TOKEN=" + b"t0k3n" * 120 + b"\nlast=words\n"
    redactor = Redactor()
    if known:
        redactor.learn(SECRET.encode())

    parts = [text[at : at + size] for at in range(0, len(text), size)]
    shown = b"".join(redactor.mask_all({"1": part}, "stream", len(part))["1"] or b"" for part in parts)

    assert len(shown) == len(text)
    assert shown.startswith(b"PLAIN=visible\nDB_PASSWORD=")
    assert shown.endswith(b"\nlast=words\n")
    assert not any(SECRET[at : at + 4].encode() in shown for at in range(len(SECRET) - 3))
    assert b"t0k3" not in shown


def test_what_was_clean_is_looked_at_again_when_more_is_known() -> None:
    """The same bytes come again and again, and a secret may be learnt in between."""
    redactor = Redactor()
    data = {"0": f"/run/{SECRET}".encode()}

    before = redactor.mask_all(data)
    redactor.learn(SECRET.encode())

    assert before == data
    assert redactor.mask_all(data) == {"0": b"/run/" + b"*" * len(SECRET)}


def test_a_known_secret_cut_in_two_is_masked_in_both_parts() -> None:
    """Where no name stands before it; other streams know nothing of it."""
    redactor = Redactor()
    redactor.learn(SECRET.encode())

    first = redactor.mask_all({"1": b"log: hunter2h"}, "a", 13)
    other = redactor.mask_all({"1": b"unter2 of another"}, "b", 17)
    second = redactor.mask_all({"1": b"unter2 seen"}, "a", 11)

    assert first == {"1": b"log: ********"}
    assert other == {"1": b"unter2 of another"}
    assert second == {"1": b"****** seen"}


def test_a_stream_with_a_gap_is_not_joined() -> None:
    """What was not captured may have ended the value."""
    redactor = Redactor()

    redactor.mask_all({"1": b"A_TOKEN=abcd"}, "a", 5000)

    assert redactor.mask_all({"1": b"plain"}, "a", 5) == {"1": b"plain"}


def test_a_blocked_write_is_masked_and_does_not_move_its_stream() -> None:
    """Its beginning is recorded, and then its end: the same bytes twice."""
    redactor = Redactor()
    redactor.mask_all({"1": b"A_TOKEN=abcd"}, "a", 12)

    begun = redactor.mask_all({"1": b"efgh\n"}, "a")
    ended = redactor.mask_all({"1": b"efgh\n"}, "a", 5)

    assert begun == ended == {"1": b"****\n"}


def test_arguments_between_nuls_are_masked_like_a_command_line() -> None:
    """As they stand in execve's memory."""
    argv = b"docker\0run\0-eA_TOKEN=a b\0--password\0x y\0hostbox"

    assert Redactor().mask_argv(argv) == b"docker\0run\0-eA_TOKEN=***\0--password\0***\0hostbox"


@given(
    st.lists(
        st.sampled_from([b"A_TOKEN=", b'"', b"\0", b"\n", b"\\", b"x", b"\x12\x0a", b"password", b'":"', b" ", b"="])
    )
)
def test_any_bytes_keep_their_length(pieces: list[bytes]) -> None:
    """Nothing that looks like a pair makes it stumble."""
    data = b"".join(pieces)

    assert len(Redactor().mask(data)) == len(data)


@given(
    st.binary(max_size=200),
    st.binary(min_size=4, max_size=12).filter(lambda b: not b.isalpha()),
    st.binary(max_size=200),
)
def test_a_mask_never_changes_a_length(before: bytes, secret: bytes, after: bytes) -> None:
    """Whatever the bytes are, save ordinary words, which are left alone: decoders count on their offsets."""
    redactor = Redactor()
    redactor.learn(secret)
    data = before + secret + after

    masked = redactor.mask(data)

    assert len(masked) == len(data)
    assert secret not in masked or not secret.strip(b"*")
