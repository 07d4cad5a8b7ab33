"""What is secret never reaches the file, and everything keeps its length."""

from hypothesis import given
from hypothesis import strategies as st

from tracer.redact import Redactor, is_sensitive

SECRET = "hunter2hunter2"


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


@given(st.binary(max_size=200), st.binary(min_size=4, max_size=12), st.binary(max_size=200))
def test_a_mask_never_changes_a_length(before: bytes, secret: bytes, after: bytes) -> None:
    """Whatever the bytes are: decoders count on their offsets."""
    redactor = Redactor()
    redactor.learn(secret)
    data = before + secret + after

    masked = redactor.mask(data)

    assert len(masked) == len(data)
    assert secret not in masked or not secret.strip(b"*")
