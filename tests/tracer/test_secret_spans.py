"""What is written before a value says that it is a secret, and what is around it, where it ends."""

import pytest

from tracer.secret_spans import is_sensitive, named_values


def values(data: bytes) -> list[bytes]:
    return sorted({data[span.start : span.end] for span in named_values(data)})


def test_names_say_what_is_secret() -> None:
    """The usual spellings, and not their harmless neighbours."""
    sensitive = [
        "PASSWORD",
        "MYSQL_ROOT_PASSWORD",
        "GITHUB_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "API_KEY",
        "DB_PASS",
        "auth",
    ]
    harmless = ["PATH", "PWD", "OLDPWD", "SSH_AUTH_SOCK", "HOME", "KEYBOARD", "COMPASS_X", "AUTHOR", "TERM"]

    assert [name for name in sensitive if not is_sensitive(name)] == []
    assert [name for name in harmless if is_sensitive(name)] == []


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"# for tests\nSECRET_TOKEN=a b c\nPLAIN=x\n", b"a b c"),
        (b"  SECRET_TOKEN=abc\r\nPLAIN=x", b"abc"),
        (b"PATH=/bin\0SECRET_TOKEN=two\nlines\0HOME=/", b"two\nlines"),
        (b"run\0-e\0SECRET_TOKEN=a b\0hostbox", b"a b"),
        (b'{"Env":["SECRET_TOKEN=a\\"b","PLAIN=x"]}', b'a\\"b'),
        (b'{"config":"{\\"Env\\":[\\"SECRET_TOKEN=abc\\",\\"PLAIN=x\\"]}"}', b"abc"),
        (b'{"auths":{"https://r":{"auth":"dXNlcjpw"}}}', b"dXNlcjpw"),
        (b'{"username": "me", "password": "abc"}', b"abc"),
        (b"\x0a\x05PLAIN\x12\x10SECRET_TOKEN=abc\x1a\x01x", b"abc"),
        (b"\x12\xd7\x01SECRET_TOKEN=" + b"y" * 202 + b"zzz", b"y" * 202),
        (b"curl -H x https://r/?a=1&token=abc&b=2", b"abc"),
        (b"env SECRET_TOKEN='a b' sh", b"a b"),
        (b"GET / HTTP/1.1\r\nAuthorization: Bearer abc\r\nA: b\r\n\r\n", b"abc"),
        (b"POST / HTTP/1.1\r\nx-registry-config: abc\r\n\r\n", b"abc"),
    ],
)
def test_a_value_ends_where_its_surroundings_end_it(data: bytes, value: bytes) -> None:
    """Env files, environments, command lines, JSON, JSON in JSON, protobuf, URLs, shell, HTTP."""
    assert values(data) == [value]


@pytest.mark.parametrize(
    "data",
    [
        b"PATH=/bin\0HOME=/root",
        b"KEYBOARD=us\nAUTHOR=me\n",
        b"SECRET_TOKEN=\nPLAIN=x",
        b'{"Key":"value","Keys":["a"],"Secrets":null}',
        b"a passage about a secret and a token",
    ],
)
def test_what_is_no_secret_is_let_be(data: bytes) -> None:
    """Other names, empty values, maps with a `Key`, and plain words."""
    assert values(data) == []


def test_a_value_cut_by_the_end_of_the_buffer_is_open() -> None:
    """It may go on in the next, so it is not yet known as a whole."""
    (cut,) = named_values(b'{"Env":["SECRET_TOKEN=abc')
    (whole,) = named_values(b'{"Env":["SECRET_TOKEN=abc"')

    assert (cut.open, whole.open) == (True, False)


@pytest.mark.parametrize("filler", [b"\0" * 70_000, bytes(range(256)) * 300, b"text = words: " * 3000])
def test_a_value_in_a_large_buffer_is_found(filler: bytes) -> None:
    """Where separators are rare only their surroundings are searched; where they are not, everything is."""
    data = filler + b"\nSECRET_TOKEN=abc\n" + filler

    assert b"abc" in values(data)


def test_a_name_is_no_longer_than_128_characters() -> None:
    """A base64 blob with a telling word in it is no name, and is not followed to its ends."""
    data = b"x" * 100_000 + b"token" + b"y" * 100_000 + b"=value"

    assert values(data) == []
