#!/usr/bin/env python3
"""Renews the numbering plans of phone numbers: crates/domain/src/address/phone/{plans.rs,examples.txt}.

usage: scripts/phone-plans.py <version> <PhoneNumberMetadata.xml>

The file is resources/PhoneNumberMetadata.xml of https://github.com/google/libphonenumber at the tag of that version. Renew the plans when a
country adds a calling code, a length or an area code; `cargo test -p parlance-domain address` then checks them.
"""

import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree
from re import _parser as parser

FOLDER = pathlib.Path(__file__).parent.parent / "crates/domain/src/address/phone"
# Kinds of numbers that can be reached from abroad, as elements of the metadata.
KINDS = "fixedLine mobile pager tollFree premiumRate sharedCost personalNumber voip uan voicemail".split()
DIGITS = range(ord("0"), ord("9") + 1)
# No plan needs more digits to tell the regions of a calling code apart.
LONGEST_PREFIX = 7


def tree(pattern):
    """Parses a pattern into nested tuples."""

    def convert(items):
        return tuple(convert_one(str(name), value) for name, value in items)

    def convert_one(name, value):
        if name == "LITERAL":
            return ("class", frozenset([value]))
        if name == "IN":
            allowed = set()
            for kind, of in ((str(kind), of) for kind, of in value):
                allowed.update({"LITERAL": lambda: [of], "RANGE": lambda: range(of[0], of[1] + 1), "CATEGORY": lambda: DIGITS}[kind]())
            return ("class", frozenset(allowed))
        if name == "BRANCH":
            return ("branch", tuple(convert(items) for items in value[1]))
        if name == "SUBPATTERN":
            return ("branch", (convert(value[3]),))
        if name == "MAX_REPEAT":
            low, high, items = value
            assert int(high) < 100, pattern
            return ("repeat", low, int(high), convert(items))
        raise ValueError(f"{name} in {pattern}")

    return convert(parser.parse("".join(pattern.split())))


def after(items, digit):
    """The rests of a pattern that may follow a digit."""
    if not items:
        return set()
    (kind, *of), rest = items[0], items[1:]
    if kind == "class":
        return {rest} if ord(digit) in of[0] else set()
    if kind == "branch":
        return set().union(*(after(option + rest, digit) for option in of[0]))
    low, high, inner = of
    again = (("repeat", max(low - 1, 0), high - 1, inner),) if high > 1 else ()
    found = after(inner + again + rest, digit)
    return found if low else found | after(rest, digit)


def main_first(plans):
    return sorted(plans, key=lambda plan: plan.get("mainCountryForCode") != "true")


def lengths(plan):
    """Lengths of a national number, over all kinds."""
    found = set()
    for kind in ["generalDesc", *KINDS]:
        for element in plan.findall(f"{kind}/possibleLengths"):
            for part in element.get("national").split(","):
                low, _, high = part.strip("[]").partition("-")
                found.update(range(int(low), int(high or low) + 1))
    return found


def number_belongs(plan, number):
    """Whether a number is of a plan, by the patterns themselves."""
    if plan.get("leadingDigits"):
        return re.match("".join(plan.get("leadingDigits").split()), number)
    patterns = (pattern.text for kind in KINDS for pattern in plan.findall(f"{kind}/nationalNumberPattern"))
    return any(re.fullmatch("".join(pattern.split()), number) for pattern in patterns)


def start(plan):
    """The patterns that decide that a number belongs to a plan. `None` stands for any rest."""
    if plan.get("leadingDigits"):
        return {tree(plan.get("leadingDigits")) + (None,)}
    return {tree(pattern.text) for kind in KINDS for pattern in plan.findall(f"{kind}/nationalNumberPattern")}


def step(states, digit):
    found = set()
    for items in states:
        if items == (None,):
            found.add(items)
        elif items and items[-1] is None:
            found.update(rest + (None,) for rest in after(items[:-1], digit))
        else:
            found.update(after(items, digit))
    return found


def prefixes(states, prefix, inherited):
    """Prefixes of national numbers, each with a region that differs from that of the shorter prefix."""
    candidates = []
    for region, rests in states:
        # Where an earlier region has all numbers of a later one, the later one has none.
        if rests and not any(rests <= earlier for _, earlier in candidates):
            candidates.append((region, rests))
    if not candidates:
        return
    if len(candidates) == 1 or len(prefix) == LONGEST_PREFIX:
        if candidates[0][0] != inherited:
            yield prefix, candidates[0][0]
        return
    for digit in "0123456789":
        yield from prefixes([(region, step(rests, digit)) for region, rests in candidates], prefix + digit, inherited)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    version, path = sys.argv[1:]
    by_code = {}
    for plan in ElementTree.parse(path).getroot().iter("territory"):
        by_code.setdefault(int(plan.get("countryCode")), []).append(plan)

    plans, regions, examples = [], [], []
    for code, of_code in sorted(by_code.items()):
        of_code = main_first(of_code)
        main_region = of_code[0].get("id")
        allowed = sorted(set().union(*map(lengths, of_code)))
        plans.append(f'    Plan {{ code: {code}, region: "{main_region}", lengths: &{allowed} }},')
        if len(of_code) > 1:
            states = [(plan.get("id"), start(plan)) for plan in of_code]
            regions += [(f"{code}{prefix}", region) for prefix, region in prefixes(states, "", main_region)]
        numbers = {plan.findtext(f"{kind}/exampleNumber") for plan in of_code for kind in ("fixedLine", "mobile")}
        for number in sorted(numbers - {None}):
            region = next(plan.get("id") for plan in of_code if number_belongs(plan, number))
            examples.append(f"{region} +{code}{number}")
    regions.sort()

    text = f"""//! Numbering plans of libphonenumber {version} (Apache-2.0), written by `scripts/phone-plans.py`.

use super::plan::Plan;

/// The plan of every calling code. Sorted.
#[rustfmt::skip]
pub(super) static PLANS: [Plan; {len(plans)}] = [
{chr(10).join(plans)}
];

/// Beginnings of numbers that belong to another region than the main one of their calling code. Sorted; the longest applies.
#[rustfmt::skip]
pub(super) static REGIONS: [(&str, &str); {len(regions)}] = [
{chr(10).join(f'    ("{prefix}", "{region}"),' for prefix, region in regions)}
];
"""
    (FOLDER / "plans.rs").write_text(text)
    (FOLDER / "examples.txt").write_text("\n".join(examples) + "\n")


main()
