"""`rcrun setup`: links under other names, completion that shells find, and what root is asked for."""

from __future__ import annotations

import os
import subprocess

import pytest

from accounts import bin_dir
from rcrun.runtime.hints_host import HostFacts

pytestmark = pytest.mark.parametrize("account", ["user"], indirect=True)


@pytest.fixture
def setup(fresh_rcrun):
    """Runs `rcrun setup` with a home of its own."""
    fresh = fresh_rcrun()
    fresh.home = fresh.account.new_dir("home")
    path = f"{bin_dir()}:/usr/bin:/bin"

    def run(*words, path=path, **env):
        return fresh("setup", *words, env={"HOME": str(fresh.home), "PATH": path, **env})

    run.home = fresh.home
    run.account = fresh.account
    run.path = path
    return run


# ---- alias


@pytest.fixture
def bin_folder(setup):
    """Where the tests' host has no docker and no podman: programs of /usr/bin by links."""
    folder = setup.account.new_dir("path")
    for name in ("sh", "readlink", "python3", "env"):
        (folder / name).symlink_to(f"/usr/bin/{name}")
    return f"{bin_dir()}:{folder}"


def test_a_link_of_another_name(setup, bin_folder):
    link = setup.home / ".local/bin/docker"
    path = f"{link.parent}:{bin_folder}"
    got = setup("alias", path=path).check()
    assert (got.out, got.err) == (f"{link}\n", "")
    version = setup.account.run(link, "--version").check().out
    assert version.startswith("Docker version ")
    assert setup("alias", "docker", path=path).check().out == f"{link}\n"  # again
    assert setup("alias", "--remove", path=path).check().out == f"{link}\n"
    assert not link.is_symlink()
    gone = setup("alias", "--remove", path=path)
    assert (gone.status, gone.err) == (1, f'rcrun: error: there is no "{link}"\n')


def test_both_names_in_another_folder(setup, bin_folder):
    folder = setup.home / "bin"
    got = setup("alias", "docker", "podman", "--dir", folder, path=bin_folder).check()
    assert got.out == f"{folder}/docker\n{folder}/podman\n"
    assert f'hint: add to the file that your shell reads: export PATH="{folder}:$PATH"' in got.err
    assert setup.account.run(folder / "podman", "--version").out.startswith("podman version ")


def test_another_program_of_that_name_is_not_hidden(setup, bin_folder):
    folder = setup.account.new_dir("real")
    real = folder / "docker"
    real.write_text("#!/bin/sh\n")
    real.chmod(0o755)
    path = f"{bin_folder}:{folder}"
    got = setup("alias", path=path)
    assert got.status == 1
    assert got.err == (
        f'rcrun: error: "docker" is another program already: "{real}"\n'
        "hint: to have rcrun answer to docker all the same: rcrun setup alias --force docker\n"
    )
    forced = setup("alias", "--force", path=path).check()
    assert f'"{real}" comes before it in PATH' in forced.err
    inside = setup("alias", "--force", "--dir", folder, path=path)
    assert inside.err.startswith(
        f'rcrun: error: "{real}" is no link\nhint: move it away first: mv '
    )
    assert real.read_text() == "#!/bin/sh\n"
    link = folder / "podman"
    link.symlink_to("/usr/bin/true")
    got = setup("alias", "--remove", "podman", "--dir", folder, path=path)
    assert got.err.startswith(f'rcrun: error: "{link}" does not lead to rcrun\n')


def test_other_names_are_none(setup):
    got = setup("alias", "nerdctl")
    assert (got.status, got.err) == (
        1, 'rcrun: error: rcrun cannot answer as "nerdctl"\nhint: name docker or podman\n',
    )  # fmt: skip


# ---- completion


@pytest.mark.parametrize(
    ("shell", "place"),
    [
        ("bash", ".local/share/bash-completion/completions/rcrun"),
        ("fish", ".config/fish/completions/rcrun.fish"),
        ("zsh", ".local/share/zsh/site-functions/_rcrun"),
    ],
)
def test_completion(setup, shell, place):
    got = setup("completion", SHELL=f"/bin/{shell}", XDG_DATA_HOME="", XDG_CONFIG_HOME="").check()
    path = setup.home / place
    assert got.out == f"{path}\n"
    assert ("fpath+=(" in got.err) == (shell == "zsh")
    text = path.read_text()
    assert "_RCRUN_COMPLETE" in text
    assert text == subprocess.run(
        [bin_dir() / "rcrun", "completion", shell], capture_output=True, text=True, check=True
    ).stdout  # fmt: skip
    setup("completion", "--remove", shell, XDG_DATA_HOME="", XDG_CONFIG_HOME="").check()
    assert not path.exists()


def test_completion_for_the_other_names_too(setup, bin_folder):
    folder = setup.home / ".local/bin"
    path = f"{folder}:{bin_folder}"
    setup("alias", path=path).check()
    got = setup("completion", "bash", path=path, XDG_DATA_HOME="").check()
    assert [os.path.basename(line) for line in got.out.split()] == ["rcrun", "docker"]
    text = (setup.home / ".local/share/bash-completion/completions/docker").read_text()
    assert text.rstrip().endswith("docker_completion_setup;") or " docker" in text


def test_an_unknown_shell(setup):
    got = setup("completion", SHELL="/bin/tcsh")
    assert got.err == (
        'rcrun: error: your login shell is "tcsh", and rcrun completes for bash, zsh, fish\n'
        "hint: name one: rcrun setup completion bash\n"
    )


def test_bash_completes_by_what_was_installed(setup):
    """The file as bash reads it, and the function that it defines."""
    setup("completion", "bash", XDG_DATA_HOME="").check()
    script = """
        . "$HOME/.local/share/bash-completion/completions/rcrun"
        COMP_WORDS=(rcrun sys) COMP_CWORD=1
        _rcrun_completion rcrun
        echo "${COMPREPLY[@]}"
    """
    got = setup.account.run("bash", "-c", script, env={"HOME": str(setup.home)}).check()
    assert got.out == "system\n"


# ---- what root allows


@pytest.fixture
def sudo(setup):
    """A sudo that writes down what it was to do, and what it was given."""
    folder = setup.account.new_dir("sudo")
    log = folder / "log"
    (folder / "sudo").write_text(
        f'#!/bin/sh\necho "$*" >>{log}; case $1 in tee) cat >>{log};; esac\n'
    )
    (folder / "sudo").chmod(0o755)
    return f"{folder}:{setup.path}", log


def test_subordinate_ids(setup, sudo):
    path, log = sudo
    name = setup.account.name
    command = HostFacts().subids_command().replace("$USER", name)
    assert setup("subids").check().out == f"{command}\n"
    assert setup("subids", "--user", "ann").check().out.endswith(" ann\n")
    assert setup("subids", "--sudo", path=path).check().out == ""
    assert log.read_text() == command.removeprefix("sudo ") + "\n"


def test_apparmor(setup, sudo):
    path, log = sudo
    profile = setup("apparmor", "--print").check().out
    assert (
        profile
        == HostFacts(
            shim=profile.split()[profile.split().index("rcrun-shim") + 1]
        ).apparmor_profile()
    )
    assert "  userns,\n" in profile
    assert setup("apparmor").check().out.startswith("printf 'abi <abi/4.0>,")
    setup("apparmor", "--sudo", path=path).check()
    file = "/etc/apparmor.d/rcrun-shim"
    assert log.read_text() == f"tee {file}\n{profile}apparmor_parser -r {file}\n"


def test_sudo_says_no(setup):
    folder = setup.account.new_dir("sudo")
    (folder / "sudo").write_text("#!/bin/sh\necho 'sudo: a password is required' >&2; exit 1\n")
    (folder / "sudo").chmod(0o755)
    got = setup("subids", "--sudo", path=f"{folder}:{setup.path}")
    assert got.status == 1
    assert got.err.endswith(": sudo: a password is required\n")


def test_lingering_without_systemd(setup):
    empty = setup.account.new_dir("empty")
    (empty / "python3").symlink_to("/usr/bin/python3")
    got = setup("linger", path=f"{bin_dir()}:{empty}:/nonexistent")
    if got.status == 0:
        pytest.fail("the test's PATH has a loginctl")
    assert got.err.startswith("rcrun: error: ")
    assert "hint: " in got.err
