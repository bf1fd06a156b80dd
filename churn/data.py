"""Synthetic employee records whose best possible accuracy is known.

The generator draws employees one attribute after the other, each from those drawn before it
(experience from age, level from experience, salary from level, ...), and then who leaves within the
next two years from `true_probability`, a function of the visible columns alone. Nothing is hidden,
so the best accuracy that any model can reach, the *Bayes accuracy* E[max(p, 1 - p)], is known:

    about 0.753 for this population, majority class 0.57, a logistic regression about 0.73.

Leaving depends on products and thresholds (overtime at a poor work-life balance, a long commute
only for those on site, first years, missed promotions), which a linear model can follow only in
part: that is the gap between 0.73 and 0.753. The rest, up to 1, is chance.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from churn.errors import DataError

__all__ = [
    "DEFAULT_ROWS",
    "POSITIVE",
    "TARGET",
    "bayes_accuracy",
    "describe",
    "make_employees",
    "true_probability",
]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

DEFAULT_ROWS = 16384  # a held-out quarter is 4096 rows
MIN_ROWS = 100
TARGET, POSITIVE, NEGATIVE = "left", "Yes", "No"

_DEPARTMENTS = ("Corporate", "Engineering", "Operations", "Sales", "Support")
_CONTRACTS = ("Permanent", "Fixed-term", "Agency")
_WORK_MODES = ("On-site", "Hybrid", "Remote")
_TRAVEL = ("Rare", "Monthly", "Weekly")


def make_employees(rows: int = DEFAULT_ROWS, seed: int = 0) -> pd.DataFrame:
    """Return `rows` synthetic employees: 19 attributes and the label `left` ("Yes" / "No").

    | column | kind | values |
    |---|---|---|
    | age | numeric | 20 .. 64 years |
    | education_level | ordinal | 1 (school) .. 5 (doctorate) |
    | department | categorical | Corporate, Engineering, Operations, Sales, Support |
    | contract | categorical | Permanent, Fixed-term, Agency |
    | job_level | ordinal | 1 .. 5 |
    | total_working_years | numeric | 0 .. 44, at most age - 18 |
    | years_at_company | numeric | 0 .. 20, at most total_working_years |
    | years_since_promotion | numeric | 0 .. 12, at most years_at_company |
    | monthly_salary | numeric | 1,500 .. 16,000, in steps of 10 |
    | pay_vs_market_percent | numeric | 75 .. 125: salary against the market for that job |
    | work_mode | categorical | On-site, Hybrid, Remote |
    | commute_km | numeric | 1 .. 60 |
    | overtime | categorical | Yes, No |
    | business_travel | categorical | Rare, Monthly, Weekly |
    | training_days | numeric | 0 .. 8, last year |
    | work_life_balance | ordinal | 1 (poor) .. 5 (good) |
    | manager_support | ordinal | 1 .. 5 |
    | job_satisfaction | ordinal | 1 .. 5 |
    | performance_rating | ordinal | 1 .. 5 |

    The same (rows, seed) gives the same table. Raises DataError for fewer than 100 rows.
    """
    if rows < MIN_ROWS:
        raise DataError(
            f"{rows} rows were asked for",
            f"at least {MIN_ROWS} are needed for both labels to occur and a part to be held out",
            f"Call make_employees(rows={MIN_ROWS}) or more",
        )
    rng = np.random.default_rng(seed)

    def normal(spread: float) -> Floats:
        return rng.normal(0.0, spread, rows)

    def chance(probability: Floats) -> Bools:
        return np.asarray(rng.random(rows) < probability)

    def choice(names: tuple[str, ...], weights: Floats) -> npt.NDArray[np.str_]:
        """Draw one name per row; weights (rows, names), not normalised."""
        edges = np.cumsum(weights, axis=1)
        drawn = (rng.random(rows) * edges[:, -1])[:, None] >= edges[:, :-1]
        picked: npt.NDArray[np.str_] = np.array(names)[drawn.sum(axis=1)]
        return picked

    # who they are
    age = _whole(20 + 44 * rng.beta(1.9, 2.4, rows), 20, 64)
    education = _whole(3.0 + normal(1.0), 1, 5)
    department = choice(
        _DEPARTMENTS,
        np.stack(
            [
                np.full(rows, 0.13),
                0.06 + 0.07 * education,
                0.44 - 0.06 * education,
                np.full(rows, 0.20),
                0.28 - 0.03 * education,
            ],
            axis=1,
        ),
    )
    engineering, operations = department == "Engineering", department == "Operations"
    sales, support = department == "Sales", department == "Support"

    # their career so far
    experience = _whole((age - 19 - education) * rng.beta(8, 1.3, rows), 0, 44)
    tenure = _whole(np.minimum(rng.gamma(1.5, 4.5, rows), experience), 0, 20)
    level = _whole(0.7 + 0.07 * experience + 0.3 * education + normal(0.7), 1, 5)
    promoted = _whole(tenure * rng.beta(1.0, 1.6, rows), 0, 12)
    temporary = np.where(tenure <= 3, 0.45, 0.12)
    contract = choice(
        _CONTRACTS,
        np.stack([1 - temporary, 0.6 * temporary, np.where(operations | support, 0.6, 0.25) * temporary], axis=1),
    )

    # what they earn and how they work
    performance = _whole(3.2 + 0.1 * (level - 2.5) + normal(0.85), 1, 5)
    pay = _whole(99 + 1.6 * (performance - 3) - 0.5 * (tenure - 5) + normal(8.0), 75, 125)
    market = 1500 * 1.42**level * np.where(engineering, 1.12, np.where(support, 0.86, 1.0))
    salary = 10 * _whole(market * pay / 1000 * (1 + 0.004 * (experience - 15)), 150, 1600)
    remote = np.where(engineering, 0.35, np.where(operations, 0.04, 0.18))
    work_mode = choice(
        _WORK_MODES, np.stack([np.where(operations, 0.85, 0.38), np.where(operations, 0.11, 0.42), remote], axis=1)
    )
    commute = _whole(np.exp(2.5 + 0.35 * (work_mode == "Remote") + normal(0.75)), 1, 60)
    overtime = chance(_sigmoid(-0.75 + 0.25 * (level - 2.5) + 0.55 * sales + 0.35 * operations))
    travel = choice(_TRAVEL, np.stack([np.full(rows, 0.55), np.full(rows, 0.30), np.where(sales, 0.45, 0.09)], axis=1))
    weekly = travel == "Weekly"

    # how they see it
    balance = _whole(3.6 - 0.8 * overtime - 0.5 * weekly - 0.012 * commute + normal(0.95), 1, 5)
    manager = _whole(3.4 + normal(1.05), 1, 5)
    satisfaction = _whole(3.2 + 0.4 * (manager - 3.4) + 0.3 * (balance - 3) + 0.03 * (pay - 98) + normal(1.0), 1, 5)
    training = _whole(rng.gamma(2.0, 1.2, rows) + 0.5 * (performance - 3), 0, 8)

    employees = pd.DataFrame(
        {
            "age": age,
            "education_level": education,
            "department": department,
            "contract": contract,
            "job_level": level,
            "total_working_years": experience,
            "years_at_company": tenure,
            "years_since_promotion": promoted,
            "monthly_salary": salary,
            "pay_vs_market_percent": pay,
            "work_mode": work_mode,
            "commute_km": commute,
            "overtime": np.where(overtime, "Yes", "No"),
            "business_travel": travel,
            "training_days": training,
            "work_life_balance": balance,
            "manager_support": manager,
            "job_satisfaction": satisfaction,
            "performance_rating": performance,
        }
    )
    leaves = chance(true_probability(employees))
    return employees.assign(**{TARGET: np.where(leaves, POSITIVE, NEGATIVE)})


def true_probability(employees: pd.DataFrame) -> Floats:
    """Return the probability, (rows,) in (0, 1), with which each employee leaves.

    It is the sigmoid of linear effects plus the interactions that a linear model cannot express.
    `employees` is a table of `make_employees`; the label is not looked at.
    """

    def column(name: str) -> Floats:
        return employees[name].to_numpy(np.float64)

    def flag(name: str, value: str) -> Floats:
        return np.asarray(employees[name] == value, np.float64)

    tenure, pay, commute = (column("years_at_company"), column("pay_vs_market_percent") - 98, column("commute_km"))
    balance, performance = column("work_life_balance"), column("performance_rating")
    overtime, on_site = flag("overtime", "Yes"), flag("work_mode", "On-site")
    waiting = column("years_since_promotion")

    linear = (
        -0.035 * (column("age") - 38)
        - 0.62 * (column("job_satisfaction") - 3.2)
        - 0.20 * (column("manager_support") - 3.4)
        - 0.20 * (balance - 3)
        - 0.025 * pay
        + 0.55 * flag("contract", "Fixed-term")
        + 0.80 * flag("contract", "Agency")
        + 0.40 * flag("department", "Sales")
        + 0.30 * flag("department", "Support")
        + 0.30 * flag("business_travel", "Weekly")
        + 0.80 * overtime
    )
    interactions = (
        1.1 * overtime * (balance <= 2)  # long hours hurt where there is no balance left
        + 0.035 * on_site * (commute - 15)  # the distance counts only for those who travel it
        + 1.1 * (tenure <= 2)
        - 0.5 * (tenure >= 10)  # the first years, the settled
        + 0.9 * (waiting >= 4) * (performance >= 4)  # good and not promoted
        - 0.05 * np.where(performance >= 4, pay, 0.0)  # good people know their price
    )
    return _sigmoid(-1.31 + linear + interactions)


def bayes_accuracy(rows: int = 100_000, seed: int = 0) -> float:
    """Return E[max(p, 1 - p)] over `rows` employees: no model can do better, on average."""
    p = true_probability(make_employees(rows, seed))
    return float(np.maximum(p, 1 - p).mean())


def describe(rows: int = DEFAULT_ROWS, seed: int = 0) -> str:
    """Return two sentences on `make_employees(rows, seed)`: its size, balance and best accuracy."""
    employees = make_employees(rows, seed)
    share = float((employees[TARGET] == POSITIVE).mean())
    return (
        f"{rows:,} synthetic employees with {employees.shape[1] - 1} attributes, {share:.1%} left. "
        f"Always guessing the majority is right for {max(share, 1 - share):.1%}; knowing the true "
        f"probabilities, and no more than that, for {bayes_accuracy(rows, seed):.1%}."
    )


def _sigmoid(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-x))


def _whole(x: Floats, low: int, high: int) -> npt.NDArray[np.int64]:
    return np.clip(np.rint(x), low, high).astype(np.int64)
