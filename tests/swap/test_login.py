"""Registries that ask who is there, by password and by token: pull and login; dockerd first, then ours."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.registries import TokenServer, build, busybox_layer, docker_registry
from tests.swap.test_images import BINARIES, Engine, up

pytestmark = [pytest.mark.root, pytest.mark.swap, pytest.mark.slow]

GET = "Error response from daemon: Get"
"""Ours asks for a manifest at once; dockerd, for a tag, asks for its digest first (HEAD)."""
HEAD = "Error response from daemon: Head"
USERS = "user:$2b$05$RwVldyFrxshBN.HeZxjN0OltumSwqVbeBBUQ6pv0bi0SIu7pyZfBG\n"
"""An htpasswd file with the password "secret", in bcrypt."""


@pytest.fixture(params=["dockerd", "ours"], scope="module")
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The daemon that a test is for."""
    missing = [name for name in BINARIES if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    with up(request.param, tmp_path_factory.mktemp("login")) as running:
        yield running


def test_password_goes_to_a_registry_that_asks_for_one(engine: Engine, tmp_path: Path) -> None:
    """Basic authentication: refused without, let in with."""
    (tmp_path / "users").write_text(USERS)
    with docker_registry(tmp_path / "r", {"htpasswd": {"realm": "test", "path": str(tmp_path / "users")}}) as registry:
        registry.push(build(busybox_layer()), "x:1", tmp_path, "--dest-creds", "user:secret")

        stranger = engine.docker("pull", f"{registry.host}/x:1")
        known = engine.docker("pull", "-q", f"{registry.host}/x:1", log_in=registry.host)

    refused = f' "http://{registry.host}/v2/x/manifests/1": no basic auth credentials\n'
    assert (1, refused) == (stranger[0], stranger[1].removeprefix(HEAD).removeprefix(GET))
    assert (0, f"{registry.host}/x:1\n") == known


def test_tokens_are_fetched_for_what_they_are_needed(engine: Engine, tmp_path: Path) -> None:
    """A token server lets everybody pull `public`, and only `user` pull `private`."""
    tokens = TokenServer(tmp_path / "tokens", lambda user, name: user == "user" or name == "public")
    try:
        with docker_registry(tmp_path / "r", tokens.settings) as registry:
            for name in ("public:1", "private:1"):
                registry.push(build(busybox_layer()), name, tmp_path, "--dest-creds", "user:secret")
            tokens.fake.asked.clear()

            public = engine.docker("pull", "-q", f"{registry.host}/public:1")
            asked = [parse_qs(urlsplit(path).query) for path, _ in tokens.fake.asked]
            stranger = engine.docker("pull", f"{registry.host}/private:1")
            known = engine.docker("pull", "-q", f"{registry.host}/private:1", log_in=registry.host)
    finally:
        tokens.fake.close()

    assert (0, f"{registry.host}/public:1\n") == public
    assert {"service": ["test"], "scope": ["repository:public:pull"]} in asked
    denied = "repository does not exist or may require 'docker login'"
    assert stranger[0] == 1
    assert f"pull access denied for {registry.host}/private, {denied}: denied: requested access" in stranger[1]
    assert (0, f"{registry.host}/private:1\n") == known


def test_login_is_for_the_pulls_until_logout(engine: Engine, tmp_path: Path) -> None:
    """By password: a wrong one is told, a good one is kept by the CLI and sent along."""
    (tmp_path / "users").write_text(USERS)
    with docker_registry(tmp_path / "r", {"htpasswd": {"realm": "test", "path": str(tmp_path / "users")}}) as registry:
        registry.push(build(busybox_layer()), "x:1", tmp_path, "--dest-creds", "user:secret")
        config, words = tmp_path / "config", ("-u", "user", "--password-stdin", registry.host)

        wrong = engine.docker("login", *words, stdin=b"wrong", config=config)
        right = engine.docker("login", *words, stdin=b"secret", config=config)
        again = engine.docker("login", registry.host, config=config)
        pulled = engine.docker("pull", "-q", f"{registry.host}/x:1", config=config)
        out = engine.docker("logout", registry.host, config=config)
        stranger = engine.docker("pull", f"{registry.host}/x:1", config=config)

    refused = f"login attempt to http://{registry.host}/v2/ failed with status: 401 Unauthorized\n"
    assert (1, f"Error response from daemon: {refused}") == wrong
    assert [(0, True)] * 2 == [(status, "Login Succeeded\n" in said) for status, said in (right, again)]
    assert (0, f"{registry.host}/x:1\n") == pulled
    assert (0, f"Removing login credentials for {registry.host}\n") == out
    assert (1, True) == (stranger[0], stranger[1].endswith("no basic auth credentials\n"))


def test_login_by_token_asks_for_no_repository(engine: Engine, tmp_path: Path) -> None:
    """The token server looks at the password; its words are passed on."""
    tokens = TokenServer(tmp_path / "tokens", lambda user, name: True)
    try:
        with docker_registry(tmp_path / "r", tokens.settings) as registry:
            words = ("login", "-u", "user", "--password-stdin", registry.host)
            wrong = engine.docker(*words, stdin=b"wrong", config=tmp_path / "config")
            tokens.fake.asked.clear()
            right = engine.docker(*words, stdin=b"secret", config=tmp_path / "config")
            (asked,) = [parse_qs(urlsplit(path).query) for path, _ in tokens.fake.asked]
    finally:
        tokens.fake.close()

    unknown = f'Get "http://{registry.host}/v2/": unauthorized: incorrect username or password\n'
    assert (1, f"Error response from daemon: {unknown}") == wrong
    assert (0, True) == (right[0], "Login Succeeded\n" in right[1])
    assert ({"account": ["user"], "client_id": ["docker"], "offline_token": ["true"], "service": ["test"]}) == asked
