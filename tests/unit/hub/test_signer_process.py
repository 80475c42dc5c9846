"""The signer's process: its folder, its group, its command line."""

from __future__ import annotations

import grp
import os
import stat
from pathlib import Path

import pytest

from consilium.hub.signer import main, share_with
from consilium.hub.signer_socket import SIGN_SOCKET
from consilium.kernel.errors import InputError, NotFoundError


def test_a_group_reaches_the_hubs_socket_and_lists_nothing(tmp_path: Path) -> None:
    (tmp_path / SIGN_SOCKET).touch(mode=0o660)
    tmp_path.chmod(0o700)
    share_with(tmp_path, grp.getgrgid(os.getgid()).gr_name)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o710
    assert (tmp_path / SIGN_SOCKET).stat().st_gid == os.getgid()


def test_a_group_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        share_with(tmp_path, "no-such-group")
    assert caught.value.facts["key"] == "signer.group"


def test_a_folder_without_a_hub_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = os.umask(0o022)
    try:
        assert main([str(tmp_path)]) == NotFoundError.exit_code
    finally:
        os.umask(before)
    assert capsys.readouterr().err.count("\n") == 1
