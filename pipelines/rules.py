"""Whether the data can follow the rules of served lists, asked before the long stages and not after them."""

from recsys.core import columns as c
from recsys.core.errors import ConfigError
from recsys.data.prepare import Prepared
from recsys.features.attributes import ITEM_PREFIX
from recsys.features.extra_columns import item_attributes
from recsys.pipelines.probabilities import teaching_kind
from recsys.pipelines.rows import kinds
from recsys.ranking.config import ProbabilityConfig
from recsys.ranking.rules import RulesConfig


def check_rules(rules: RulesConfig, chances: ProbabilityConfig, data: Prepared) -> None:
    """Refuse rules that a bundle of these data could not follow.

    Raises
    ------
    ConfigError
        For columns that items do not have, or an order by value where no rows teach chances.
    """
    by_value = rules.order_by == "value"
    asked = (*rules.columns, *((rules.worth,) if by_value else ()))
    there = dict.fromkeys(
        (c.PRICE, *(name.removeprefix(ITEM_PREFIX) for name in item_attributes(data.items).names))
    )
    absent = [column for column in asked if column not in there]
    if absent:
        raise ConfigError(
            "rules",
            expected=f"item columns among {', '.join(there)}",
            found=", ".join(absent),
            do="Correct rules.caps, rules.diversity_by or rules.worth.",
        )
    if by_value and teaching_kind(data, kinds(data), chances) is None:
        raise ConfigError(
            "rules.order_by=value",
            expected="shown lists, from which the chances of a purchase are learned",
            found="none in these data",
            do="Set ranker.probabilities.learn=any, or rules.order_by=score.",
        )
