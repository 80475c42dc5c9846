"""From revealed shares to secrets, and from secrets to a sum without masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from consilium.federation.secure.encoding import Ring
from consilium.federation.secure.masks import add_mask, commit_seed, pair_seed, self_seed
from consilium.federation.secure.messages import Announcement, Revealed
from consilium.federation.secure.plan import SumPlan
from consilium.federation.secure.sharing import join_shares, weights_at_zero
from consilium.kernel.errors import InputError, IntegrityError
from consilium.kernel.identifiers import ParticipantId

Window = dict[ParticipantId, int]
"""A threshold of sites that answered, and the weight of each one's shares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """Survivors' seeds and lost sites' masking keys, 32 bytes each."""

    seeds: Mapping[ParticipantId, bytes]
    keys: Mapping[ParticipantId, bytes]


def recover_secrets(
    revealed: Mapping[ParticipantId, Revealed],
    *,
    announced: Mapping[ParticipantId, Announcement],
    plan: SumPlan,
) -> Recovered:
    """Join shares, and check each secret against what its owner announced.

    With more answers than the threshold several choices of answers are tried,
    so that one false share among them stops nothing.

    Parameters
    ----------
    revealed : mapping of participant to Revealed
        At least the plan's threshold, all about the same survivors.

    Raises
    ------
    IntegrityError
        `secure.false_share`, naming whose secret cannot be had.

    Discloses
    ---------
    One secret of each member, at the hub: never both of one.
    """
    windows = [*_windows(sorted(revealed), plan)]
    some = next(iter(revealed.values()))

    def recover(site: ParticipantId, kind: str, fits: Callable[[bytes], bool]) -> bytes:
        for window in windows:
            shares = {plan.points[who]: getattr(revealed[who], kind)[site] for who in window}
            weights = {plan.points[who]: weight for who, weight in window.items()}
            try:
                secret = join_shares(shares, weights=weights)
            except InputError:
                continue
            if fits(secret):
                return secret
        raise IntegrityError("secure.false_share", site=site)

    def seed_fits(site: ParticipantId) -> Callable[[bytes], bool]:
        wanted = announced[site].commitment
        return lambda seed: commit_seed(seed, plan=plan.digest, site=site) == wanted

    def key_fits(site: ParticipantId) -> Callable[[bytes], bool]:
        wanted = announced[site].masking
        return lambda key: _public(key) == wanted

    return Recovered(
        seeds={site: recover(site, "seeds", seed_fits(site)) for site in some.seeds},
        keys={site: recover(site, "keys", key_fits(site)) for site in some.keys},
    )


def remove_masks(
    total: Ring,
    found: Recovered,
    *,
    announced: Mapping[ParticipantId, Announcement],
    plan: SumPlan,
) -> None:
    """Take survivors' self masks and lost sites' pairwise masks off a sum, in place.

    Masks between two survivors have cancelled.

    Discloses
    ---------
    The survivors' sum.
    """
    for site, seed in sorted(found.seeds.items()):
        add_mask(total, self_seed(seed, plan=plan.digest, site=site), negative=True)
    for lost, secret in sorted(found.keys.items()):
        key = X25519PrivateKey.from_private_bytes(secret)
        for site in sorted(found.seeds):
            peer = announced[site].masking
            seed = pair_seed(key, peer, plan=plan.digest, pair=(lost, site))
            # The survivor added the mask if its name comes first: take off what it did.
            add_mask(total, seed, negative=site < lost)


def _windows(sites: list[ParticipantId], plan: SumPlan) -> Iterator[Window]:
    """Give choices of a threshold of sites: neighbours in a ring, each beginning once."""
    for first in range(len(sites) if len(sites) > plan.threshold else 1):
        chosen = [sites[(first + step) % len(sites)] for step in range(plan.threshold)]
        weights = weights_at_zero([plan.points[site] for site in chosen])
        yield {site: weights[plan.points[site]] for site in chosen}


def _public(key: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(key).public_key().public_bytes_raw()
