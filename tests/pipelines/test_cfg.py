"""``--cfg`` prints every setting with its value, those that no file names too."""

import pytest
import yaml

from recsys.core.errors import ConfigError
from recsys.pipelines.cfg import main


def test_every_setting_is_printed_with_its_value(capsys):
    assert main(["seed=17", "tracking=none", "encoder=adapter", "encoder.queries=2"]) == 0
    settings = yaml.safe_load(capsys.readouterr().out)
    assert settings["seed"] == 17
    assert settings["tracking"]["kind"] == "none"
    assert settings["encoder"]["preset"] == "adapter"
    assert settings["encoder"]["queries"] == 2  # a key that stands in no file
    assert settings["ranker"]["bagging_fraction"] == 1.0  # and one that nobody gave


def test_settings_can_be_looked_at_before_the_data_are_named(capsys):
    assert main(["data=files"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["data"]["dir"] == ""


def test_wrong_settings_are_refused(capsys):
    with pytest.raises(ConfigError, match=r"scoring\.kk: .* Did you mean scoring\.k\?"):
        main(["scoring.kk=3"])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("override", ["=3", "data.dir", "a b=1=2"])
def test_what_is_no_override_is_one_clear_message(override):
    with pytest.raises(ConfigError, match="expected"):
        main([override])
