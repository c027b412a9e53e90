"""What a set of rows can show at all: the smallest difference between two systems that it would probably reveal."""

from __future__ import annotations

from statistics import NormalDist

from tunewright.base.errors import InputError

POWER = 0.8
ALPHA = 0.05


def detectable_share(n: int, discordance: float, *, power: float = POWER, alpha: float = ALPHA) -> float:
    """The smallest difference of two shares on the same n rows that a two-sided McNemar test shows with this power.

    By Connor's formula (Biometrics 43, 1987): n = (z_α √ψ + z_β √(ψ − δ²))² / δ². A difference δ needs a discordance ψ
    of at least δ; where the discordance given is less, it is taken to be δ itself.

    Args:
        n: Rows.
        discordance: Share of the rows that one system alone has right, as seen or as assumed.
        power: Probability to see a difference of this size where it is there.
        alpha: Probability to see one where none is.

    Returns:
        A difference of shares, such as 0.04 for four points; 1 where not even that would be seen.

    Raises:
        InputError: If there are no rows, or a share is none.
    """
    from scipy.optimize import brentq

    if n < 1 or not 0 <= discordance <= 1:
        raise InputError(f"{n} rows with a discordance of {discordance} show nothing")
    z_alpha, z_power = _quantiles(power, alpha)

    def missing(difference: float) -> float:
        """How many rows more than n the difference takes."""
        split = max(discordance, difference)
        root = z_alpha * split**0.5 + z_power * max(0.0, split - difference**2) ** 0.5
        return float((root / difference) ** 2 - n)

    if missing(1.0) >= 0:
        return 1.0
    return float(brentq(missing, 1e-9, 1.0, xtol=1e-9))


def detectable_mean(error: float, *, power: float = POWER, alpha: float = ALPHA) -> float:
    """The smallest difference that a test shows with this power, from the standard error of the difference.

    For whatever is no share: (z_α + z_β) times the error, the normal approximation.

    Raises:
        InputError: If the error is negative or no number.
    """
    if not error >= 0:
        raise InputError(f"{error} is no standard error")
    z_alpha, z_power = _quantiles(power, alpha)
    return (z_alpha + z_power) * error


def assumed_discordance(share: float) -> float:
    """How often two equally good systems of this share would disagree if their errors had nothing in common.

    Systems on the same rows agree more often than that, so what follows from it is on the safe side.
    """
    return 2 * share * (1 - share)


def _quantiles(power: float, alpha: float) -> tuple[float, float]:
    if not (0 < power < 1 and 0 < alpha < 1):
        raise InputError(f"A power of {power} at a level of {alpha} is none")
    return NormalDist().inv_cdf(1 - alpha / 2), NormalDist().inv_cdf(power)
