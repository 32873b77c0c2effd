"""Names and ids of containers and volumes: the rule, and a name made up for who gives none."""

from __future__ import annotations

from rcrun.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_FIRST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_REST = _FIRST | frozenset("_.-")

_ADJECTIVES = (
    "agile airy amber ample apt ardent balmy blithe bold brisk bright broad calm candid canny cheery "
    "civil clear clever coral cosy crisp curious daring deft dewy docile eager early earnest easy fair "
    "fleet fluent fond frank fresh frosty gallant gentle giddy glad golden graceful handy hardy hearty "
    "honest humble ideal jaunty jolly jovial keen kind lively loyal lucid lunar mellow merry mighty "
    "mild mindful modest neat nimble noble patient placid plucky polite prompt proud quick quiet rapid "
    "ready robust rosy rustic sage serene sharp shiny silver sincere sleek snug solar solid spry stable "
    "starry steady stoic sturdy subtle sunny supple sure swift tender tidy tranquil trusty upbeat valiant "
    "verdant vivid warm wise witty zesty"
).split()
_SURNAMES = (
    "abel agnesi ampere anning avogadro babbage banach bell bernoulli bohr boole borg bose brahe cantor "
    "carson cauchy celsius chandra clarke cori coulomb cray curie dalton darwin descartes dijkstra dirac "
    "doppler easley edison einstein erdos euclid euler faraday fermat fermi feynman fourier franklin "
    "galileo galois gauss germain goedel goodall hamming hawking heaviside herschel hertz hilbert hodgkin "
    "hooke hopper hubble huygens hypatia joule kelvin kepler khayyam knuth kovalevsky lagrange lamarr "
    "laplace leavitt leibniz linnaeus liskov lovelace mach maxwell mayer meitner mendel milner mirzakhani "
    "moore morse napier nash newton nobel noether ohm pascal pasteur pauli peano planck poincare ptolemy "
    "raman ramanujan riemann rubin russell sagan shannon snell stokes tesla thales thompson turing vera "
    "volta wallace watt weil wiles wing wirth wu yonath zeno zuse"
).split()


def is_valid(name: str) -> bool:
    return len(name) > 1 and name[0] in _FIRST and _REST.issuperset(name)


def check(name: str, what: str) -> str:
    """The name itself; docker's rule for containers, volumes and networks."""
    if len(name) > 255:
        raise InvalidInput(f'invalid {what} name "{name[:40]}…": it is longer than 255 characters')
    if not is_valid(name):
        raise InvalidInput(
            f'invalid {what} name "{name}": '
            "it must have two or more of [a-zA-Z0-9_.-] and begin with a letter or digit"
        )
    return name


def generated(random_below: Callable[[int], int], attempt: int = 0) -> str:
    """`adjective_surname`; after a few attempts that were taken, with a number behind it."""
    name = (
        f"{_ADJECTIVES[random_below(len(_ADJECTIVES))]}_{_SURNAMES[random_below(len(_SURNAMES))]}"
    )
    return name if attempt < 3 else f"{name}{random_below(10**attempt if attempt < 9 else 10**9)}"
