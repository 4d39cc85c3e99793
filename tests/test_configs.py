"""Every file of conf/ composes and becomes typed settings; what is unclear is refused by its full name."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from recsys.candidates.sources import CandidatesConfig
from recsys.cli import main
from recsys.commands import config_groups
from recsys.core.columns import VARIANTS
from recsys.core.errors import ConfigError
from recsys.data.split import SplitConfig
from recsys.encoder.trainer_config import TrainerConfig
from recsys.pipelines.door import compose, to_dataclass
from recsys.pipelines.path import READS, STAGES, stage_configs
from recsys.pipelines.settings import EvaluateConfig, RunConfig, load
from recsys.ranking.config import RerankerConfig
from recsys.ranking.first_stage import SelectConfig
from recsys.serving.batch_config import BatchConfig

CONF = Path(__file__).resolve().parent.parent / "conf"
GROUPS = config_groups()
OPTIONS = [(group, option) for group, options in GROUPS.items() for option in options]


def asked(group, option, folder):
    """Overrides that choose an option, and say where files are where it needs them."""
    files = group in ("experiment", "data") and option != "shop"
    return [f"{group}={option}", *([f"data.dir={folder}"] if files else [])]


@pytest.mark.parametrize(("group", "option"), OPTIONS, ids=[f"{group}={option}" for group, option in OPTIONS])
def test_every_option_of_every_group_gives_typed_settings(group, option, tmp_path):
    order = ["data.time=order"] if option == "strict_refit_crossfit" else []
    config, node = load([*asked(group, option, tmp_path), *order])
    assert isinstance(config, RunConfig)
    assert set(config.variants) <= set(VARIANTS)
    assert set(stage_configs(config)) == {stage.name for stage in STAGES} == set(READS)
    assert node.name == config.name


@pytest.mark.parametrize("experiment", GROUPS["experiment"])
@pytest.mark.parametrize("variants", GROUPS["variants"])
def test_experiments_go_with_every_choice_of_variants(experiment, variants, tmp_path):
    overrides = [f"experiment={experiment}", f"data.dir={tmp_path}", f"variants={variants}"]
    if variants == "strict_refit_crossfit" and experiment != "amazon_office":
        with pytest.raises(ConfigError, match=r"variants\.strict\.crossfit: expected data\.time=order"):
            load(overrides)  # those have a clock
        return
    if variants in ("live_daily", "shop_daily") and experiment == "amazon_office":
        with pytest.raises(ConfigError, match=r"variants\.daily\.snapshot=daily: expected data\.time=real"):
            load(overrides)  # that one has none
        return
    config, _ = load(overrides)
    assert config.name == experiment
    assert config.data.source == "files"
    assert not config.evaluation.read_test  # a public set's test window is read on purpose only
    assert set(config.variants) == set(compose([f"variants={variants}"]).variants)


def test_experiments_say_what_the_sets_are(tmp_path):
    def of(name):
        return load([f"experiment={name}", f"data.dir={tmp_path}"])[0]

    office, news, retail = of("amazon_office"), of("mind_small_7k"), of("online_retail")
    assert not office.clock and set(office.variants) == {"strict", "refit"}
    assert office.variants["strict"].freeze["test"] == "valid"
    assert office.variants["refit"].train == ("rank", "valid")
    assert news.requests.rows == "logged" and news.data.real_from == "2019-11-09"
    assert news.variants["daily"].snapshot == "daily"
    assert (retail.requests.unit, retail.requests.targets) == ("basket", ("purchase",))
    assert retail.data.text.columns == ("title",)
    films = of("movielens_small_tmdb")
    assert films.requests.min_rating == films.data.pairs.min_rating == 4.0
    assert films.requests.min_history == 5 and films.evaluation.exclude_seen


def test_threads_are_those_asked_for_or_all_cores(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 7)
    for overrides, threads in (([], 7), (["threads=3"], 3)):
        configs = stage_configs(load(overrides)[0])
        assert {configs[name].threads for name in ("embed", "select", "features", "bundle")} == {threads}


@pytest.mark.parametrize(
    ("overrides", "unit"),
    [
        ([], "impression"),
        (["data=files", "data.dir=x"], "event"),  # impressions may not have been logged
        (["data=files", "data.dir=x", "requests.unit=session"], "session"),
        (["experiment=mind_small_7k", "data.dir=x"], "impression"),
        (["experiment=online_retail", "data.dir=x"], "basket"),
    ],
)
def test_the_unit_is_that_of_the_data_unless_something_else_is_said(overrides, unit):
    assert load(overrides)[0].requests.unit == unit


def test_shown_lists_teach_on_the_demo_shop_only():
    def learned(*overrides):
        return {name: variant.learn for name, variant in load(overrides)[0].variants.items()}

    assert learned() == {"default": "logged"}
    assert learned("data=files", "data.dir=x") == {"default": "retrieved"}
    assert learned("experiment=online_retail", "data.dir=x") == {"default": "retrieved"}
    assert learned("variants=strict_refit") == {"strict": "retrieved", "refit": "retrieved"}
    assert learned("variants.default.learn=both") == {"default": "both"}


@pytest.mark.parametrize(
    ("overrides", "served"),
    [
        (["experiment=mind_small_7k"], "default"),  # daily learned on midnight states, and serving is live
        (["experiment=mind_small_7k", "serve=daily"], "daily"),
        (["experiment=amazon_office"], "refit"),
        (["experiment=amazon_office", "serve=strict"], "strict"),
    ],
)
def test_one_variant_is_served(overrides, served, tmp_path):
    config, _ = load([*overrides, f"data.dir={tmp_path}"])
    bundled = stage_configs(config)["bundle"]
    assert bundled.variant == served
    assert bundled.train_windows == config.variants[served].train


def test_the_default_is_the_demo_shop():
    config, _ = load([])
    assert config.data.source == "shop"
    assert (config.data.shop.items, config.data.shop.users, config.data.shop.events) == (3000, 5000, 300000)
    assert (config.encoder.preset, config.tracking.kind) == ("top", "mlflow")
    assert config.all_seeds == (config.seed,)
    assert load(["seeds=[1, 2]"])[0].all_seeds == (1, 2)


@pytest.mark.parametrize(
    ("group", "kind"),
    [
        ("split", SplitConfig),
        ("candidates", CandidatesConfig),
        ("trainer", TrainerConfig),
        ("ranker", RerankerConfig),
        ("evaluation", EvaluateConfig),
        ("scoring", BatchConfig),
        ("select", SelectConfig),
    ],
)
def test_python_and_the_command_line_start_from_the_same(group, kind):
    file = CONF / group / "default.yaml"  # as it is: the demo shop changes what it is measured by
    node = OmegaConf.load(file) if file.exists() else OmegaConf.load(CONF / "config.yaml")[group]
    assert len(node) and to_dataclass(node, kind, group) == kind()


def test_every_group_of_the_folder_is_chosen_somewhere():
    chosen = set(compose())
    assert set(GROUPS) - {"experiment"} <= chosen


REFUSED = [
    ("trainer.max_epohcs=2", "trainer.max_epohcs", "Did you mean trainer.max_epochs?"),
    ("+trainer.max_epohcs=2", "trainer.max_epohcs", "Did you mean trainer.max_epochs?"),
    ("+data.shop.itmes=3", "data.shop.itmes", "Did you mean data.shop.items?"),
    ("+variants.default.sotp=folds", "variants.default.sotp", "Did you mean variants.default.stop?"),
    ("+features.rows.item_age.famly=price", "features.rows.item_age.famly", "features.rows.item_age.family?"),
    ("tracking.kind=mlfow", "tracking.kind", "Did you mean tracking.kind=mlflow?"),
    ("data.time=reel", "data.time", "Did you mean data.time=real?"),
    (
        "encoder.preset=tpo",
        "encoder.preset",
        "expected one of adapter, top, full, lora, small, static, auto; found 'tpo'",
    ),
    ("variants.default.stop=fold", "variants.default.stop", "Did you mean variants.default.stop=folds?"),
    ("encoder=adaptor", "encoder=adaptor", "Did you mean encoder=adapter?"),
    ("expriment=online_retail", "expriment", "Did you mean experiment?"),
    ("ranker.num_iterations=many", "ranker.num_iterations", "expected an integer; found a word, 'many'"),
    ("evaluation.ks=10", "evaluation.ks", "expected a list; found an integer, 10"),
    ("+data.timezone='None'", "data.timezone", 'found the string "None". Write null for no value.'),
    ("paths.run_dir='None'", "paths.run_dir", 'found the string "None". Write null for no value.'),
    ("+variants.sideways={train: [rank]}", "variants.sideways", f"expected one of {', '.join(VARIANTS)}"),
    ("candidates.depths={populr: 3}", "candidates.depths.populr", "Did you mean candidates.depths.popular?"),
    ("+candidates.depths.populr=3", "candidates.depths.populr", "Did you mean popular?"),
    ("encoder.preset=tpo", "encoder.preset", "Did you mean top?"),
    ("encoder=tpo", "encoder=tpo", "Did you mean encoder=top?"),
    ("trainer.lr=-1", "trainer.lr", "expected at least 0; found -1.0"),
    ("ranker.num_leaves=1", "ranker.num_leaves", "found 1"),
    ("select.n=0", "select.n", "expected at least 1; found 0"),
    ("scoring.k=0", "scoring.k", "expected at least 1; found 0"),
    ("seed=-1", "seed", "expected 0 to 2147483647; found -1"),
    ("serve=refti", "serve", "expected default; found 'refti'"),
    ("threads=-1", "threads", "expected at least 0; found -1"),
    ("features.lag_decay=1.5", "features.lag_decay", "expected above 0 and at most 1; found 1.5"),
    ("features.rows.item_age.key=planet", "features.rows.item_age.key", "expected item; found 'planet'"),
    ("+features.rows.item_x={family: counts, key: planet, stat: count}", "features.rows.item_x.key", "user"),
    (
        "+features.rows.item_x={family: count, key: item, stat: count}",
        "features.rows.item_x.family",
        "counts?",
    ),
    ("+features.rows.item_x={family: counts, key: item, stat: rat}", "features.rows.item_x.stat", "rate?"),
    (
        "+features.rows.item_x={family: counts, key: item, stat: count, half_lives: [7x]}",
        "features.rows.item_x.half_lives",
        "found '7x'",
    ),
    (
        "+features.rows.item_x={family: counts, key: item, stat: count, types: [clik]}",
        "features.rows.item_x.types",
        "Did you mean click?",
    ),
    ("requests.unit=impresion", "requests.unit", "impression"),
    ("requests.rows=loged", "requests.rows", "logged"),
]


@pytest.mark.parametrize(("override", "key", "words"), REFUSED, ids=[one[0] for one in REFUSED])
def test_what_is_unclear_is_refused_with_its_whole_path(override, key, words, tmp_path):
    with pytest.raises(ConfigError) as caught:
        load([override])
    assert str(caught.value).startswith(f"{key}: expected ")
    assert words in str(caught.value)


def test_a_variant_that_learns_what_stops_it_is_refused():
    with pytest.raises(ConfigError, match=r"variants\.\*\.stop: .*Set stop: folds"):
        load(["variants.default.train=[rank, valid]"])
    with pytest.raises(
        ConfigError,
        match="variants.*freeze: expected one of .*; found 'tset'. Did you mean test",
    ):
        load(["+variants.default.freeze={tset: rank}"])
    with pytest.raises(ConfigError, match="variants: expected at least one"):
        load(["~variants.default"])


def test_crossfit_needs_folds(tmp_path):
    with pytest.raises(ConfigError, match=r"crossfit: expected requests\.folds of 2 or more"):
        load(["experiment=amazon_office", f"data.dir={tmp_path}", "requests.folds=1"])


def test_files_without_a_folder_are_refused():
    with pytest.raises(ConfigError, match=r"data\.dir: expected the folder of events and items"):
        load(["data=files"])


def test_the_command_line_gives_the_message_alone(capsys):
    assert main(["run", "trainer.max_epohcs=2"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("recsys: trainer.max_epohcs: expected one of ")
    assert said.err.count("\n") == 1


def test_what_small_encoders_are_held_against_reads_as_much_of_a_text():
    read = {preset: load([f"encoder={preset}"])[0].encoder for preset in ("adapter", "small", "static")}
    assert {one.max_tokens for one in read.values()} == {128}
    assert {one.name_or_path for one in read.values()} == {"minilm"}
