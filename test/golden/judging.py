"""What the tables of deviations are made of."""

import dataclasses
import typing

import yaml


class YamlLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """Dates stay the text that they are."""


YamlLoader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclasses.dataclass(frozen=True)
class Deviation:
    why: str
    check: typing.Callable  # (case, answer) -> problems
    own_headers: tuple = ()  # lower-case names of those that the check judges


def expect(problems, what, want, got):
    if want != got:
        problems.append(f"{what}: want {want!r}, got {got!r}")
