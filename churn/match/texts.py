"""Synthetic vacancies and résumés: nobody's, but one can read them. The same seed, the same texts.

Or those of a CSV file with columns `title` and `text`.

An occupation has skills, duties and an education of its own, and shares some with its neighbours. A vacancy asks for
a few of them, a résumé tells of a few, so that some vacancies fit a résumé well, many fit a little, most not at all.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from churn.errors import ColumnError, DataError, nearest

__all__ = ["Text", "make_resumes", "make_vacancies", "read_texts"]


@dataclass(frozen=True)
class Text:
    """A vacancy or a résumé: what it is called, and what it says."""

    title: str
    body: str


@dataclass(frozen=True)
class _Occupation:
    titles: tuple[str, ...]
    skills: tuple[str, ...]
    duties: tuple[str, ...]
    education: str


def _of(titles: str, skills: str, duties: str, education: str) -> _Occupation:
    return _Occupation(tuple(titles.split("; ")), tuple(skills.split("; ")), tuple(duties.split("; ")), education)


_OCCUPATIONS = (
    _of(
        "nurse; intensive care nurse; ward nurse",
        "wound care; medication administration; patient assessment; triage; infection control; electronic records; "
        "ventilator care; shift handover; family counselling",
        "caring for patients after surgery; giving medication and watching its effects; keeping patient records; "
        "training new colleagues on the ward",
        "a nursing diploma",
    ),
    _of(
        "software engineer; backend developer; platform engineer",
        "Python; PostgreSQL; REST interfaces; Docker; Kubernetes; code review; automated tests; message queues; Linux; "
        "continuous integration",
        "building services that other teams rely on; reviewing code; taking turns on call; moving an old system to "
        "smaller services",
        "a degree in computer science",
    ),
    _of(
        "data analyst; business analyst; reporting analyst",
        "SQL; Python; dashboards; statistics; A/B tests; data cleaning; spreadsheets; forecasting; Tableau",
        "answering questions of the business with data; building dashboards; explaining numbers to managers; "
        "forecasting demand",
        "a degree in statistics or economics",
    ),
    _of(
        "machine learning engineer; data scientist; research engineer",
        "Python; PyTorch; statistics; feature engineering; model monitoring; SQL; natural language processing; "
        "cloud services; experiment tracking",
        "training models and bringing them into production; measuring whether they help; reading papers and trying "
        "them; cleaning data with its owners",
        "a master's degree in a quantitative field",
    ),
    _of(
        "accountant; senior accountant; financial controller",
        "bookkeeping; annual accounts; VAT returns; SAP; budgeting; audits; spreadsheets; payroll; cost accounting",
        "closing the books each month; preparing annual accounts; answering auditors; keeping budgets",
        "a degree in accounting",
    ),
    _of(
        "sales representative; account manager; sales engineer",
        "negotiation; CRM software; cold calling; contract drafting; product demonstrations; forecasting; "
        "key accounts; public tenders",
        "visiting customers; writing offers; winning back lost accounts; showing the product at trade fairs",
        "commercial training",
    ),
    _of(
        "teacher; mathematics teacher; science teacher",
        "lesson planning; classroom management; mathematics; physics; grading; parent meetings; "
        "digital whiteboards; special needs support",
        "teaching classes of thirty; planning lessons with colleagues; preparing pupils for exams; "
        "talking with parents",
        "a teaching degree",
    ),
    _of(
        "electrician; industrial electrician; maintenance electrician",
        "wiring; fault finding; PLC programming; safety inspections; switchgear; motors; technical drawings; "
        "solar installations",
        "installing and testing circuits; finding faults in machines; keeping switchgear in order; inspecting sites",
        "an apprenticeship as an electrician",
    ),
    _of(
        "mechanical engineer; design engineer; product engineer",
        "CAD; tolerance analysis; finite element analysis; prototyping; injection moulding; supplier contact; "
        "technical drawings; materials",
        "designing parts and seeing them made; testing prototypes; working with suppliers; lowering the cost of parts",
        "a degree in mechanical engineering",
    ),
    _of(
        "cook; sous-chef; pastry chef",
        "menu planning; food hygiene; stock ordering; plating; butchery; baking; kitchen management; "
        "allergen labelling",
        "cooking for a hundred guests an evening; ordering stock; planning menus; leading a small kitchen team",
        "an apprenticeship as a cook",
    ),
    _of(
        "truck driver; delivery driver; dispatcher",
        "route planning; load securing; tachograph rules; vehicle checks; forklift licence; customer contact; "
        "hazardous goods",
        "driving long distances; loading and securing goods; keeping delivery papers; planning routes",
        "a lorry driving licence",
    ),
    _of(
        "warehouse worker; logistics clerk; warehouse manager",
        "stock keeping; forklift licence; scanners; picking; inventory counts; SAP; shift planning; customs papers",
        "receiving and storing goods; picking orders; counting stock; planning shifts",
        "training in logistics",
    ),
    _of(
        "HR business partner; recruiter; HR administrator",
        "interviews; labour law; onboarding; payroll; applicant tracking; works council contact; training plans; "
        "employer branding",
        "finding and interviewing candidates; advising managers; drawing up contracts; planning training",
        "a degree in business or psychology",
    ),
    _of(
        "marketing manager; content editor; social media manager",
        "copywriting; search engine optimisation; campaigns; newsletters; analytics; budgeting; brand guidelines; "
        "photo editing",
        "planning campaigns; writing for the website; measuring what readers do; working with agencies",
        "a degree in communication",
    ),
    _of(
        "lawyer; legal counsel; contract manager",
        "contract drafting; data protection law; labour law; negotiation; company law; litigation; compliance; "
        "public tenders",
        "drafting and negotiating contracts; advising departments; answering authorities; watching new law",
        "a law degree",
    ),
    _of(
        "laboratory technician; chemist; quality analyst",
        "chromatography; sample preparation; method validation; good laboratory practice; titration; calibration; "
        "documentation; statistics",
        "analysing samples; validating methods; keeping instruments calibrated; writing reports",
        "training as a laboratory technician",
    ),
    _of(
        "security analyst; IT administrator; network engineer",
        "firewalls; Linux; incident response; Active Directory; network monitoring; vulnerability scans; backups; "
        "scripting; Python",
        "watching networks; answering incidents; patching servers; helping colleagues with their machines",
        "training in IT systems",
    ),
    _of(
        "project manager; scrum master; programme lead",
        "planning; stakeholder meetings; risk registers; budgeting; agile methods; reporting; supplier contact; "
        "change management",
        "bringing projects in on time; talking with everybody concerned; keeping risks in view; reporting to the board",
        "a degree and a project management certificate",
    ),
    _of(
        "architect; site manager; building engineer",
        "CAD; building regulations; cost estimates; tendering; site supervision; BIM; scheduling; structural analysis",
        "drawing up plans; supervising building sites; comparing tenders; keeping cost and time",
        "a degree in architecture or civil engineering",
    ),
    _of(
        "physiotherapist; occupational therapist; sports therapist",
        "manual therapy; exercise plans; patient assessment; gait analysis; documentation; rehabilitation; massage; "
        "family counselling",
        "treating patients after injuries; planning exercises; keeping treatment records; working with doctors",
        "a degree in physiotherapy",
    ),
)
_SENIORITY = ("Junior", "", "", "Senior", "Lead")
_YEARS = {"Junior": (0, 2), "": (2, 8), "Senior": (6, 16), "Lead": (9, 25)}
_EMPLOYERS = (
    "a family company", "a hospital group", "a young company", "a public institution", "a supplier of car makers",
    "a retail chain", "an insurance company", "a city administration", "an energy supplier", "a software house",
)  # fmt: skip
_CITIES = ("Aachen", "Bremen", "Dresden", "Erfurt", "Graz", "Kiel", "Leipzig", "Linz", "Mainz", "Ulm")
_LANGUAGES = ("English", "German", "French", "Polish", "Spanish", "Turkish")
_OFFERS = (
    "flexible hours",
    "part-time possible",
    "a permanent contract",
    "thirty days off",
    "work from home",
    "shifts",
)
_FIRST = ("Amira", "Ben", "Clara", "Deniz", "Emil", "Freya", "Goran", "Hanna", "Ilja", "Jana", "Karim", "Lena")
_LAST = ("Adler", "Bauer", "Costa", "Demir", "Engel", "Falk", "Geller", "Horn", "Ivanov", "Jansen", "Keller", "Lang")


def make_vacancies(count: int, seed: int = 0) -> list[Text]:
    """Return vacancies; the first ones of a larger count are the same."""
    return [_vacancy(np.random.default_rng([seed, 1, i])) for i in range(count)]


def make_resumes(count: int, seed: int = 0) -> list[Text]:
    """Return résumés; the first ones of a larger count are the same."""
    return [_resume(np.random.default_rng([seed, 2, i])) for i in range(count)]


def read_texts(path: Path) -> list[Text]:
    """Return the texts of a CSV file in UTF-8 with columns `title` and `text`; DataError for anything else."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            names = reader.fieldnames or []
            for name in ("title", "text"):
                if name not in names:
                    raise ColumnError(
                        f"{path} has no column {name!r}{nearest(name, names)}",
                        "columns 'title' and 'text' are needed",
                        "Name them so in the header line",
                    )
            texts = [Text(row["title"] or "", row["text"] or "") for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path} cannot be read as CSV ({error})", "a table of texts in UTF-8 is needed", "Check the path"
        ) from error
    if not texts:
        raise DataError(f"{path} has no rows", "one text at least is needed", "Add texts")
    return texts


def _vacancy(rng: np.random.Generator) -> Text:
    job, level, years = _person(rng)
    title = _titled(rng, job, level)
    skills, duties = _some(rng, job.skills, 3, 6), _some(rng, job.duties, 1, 3)
    city, employer = _one(rng, _CITIES), _one(rng, _EMPLOYERS)
    body = (
        f"{title} (m/f/d) in {city}. We are {employer} and look for a {_small(title)}. Your work: {_list(duties)}. "
        f"You bring {_list(skills)}; {job.education}; {_years(years)}. "
    )
    if rng.random() < 0.4:
        body += f"{_one(rng, _LANGUAGES)} is an advantage. "
    return Text(f"{title}, {city}", body + f"We offer {_list(_some(rng, _OFFERS, 1, 3))}.")


def _resume(rng: np.random.Generator) -> Text:
    job, level, years = _person(rng)
    before = job if rng.random() < 0.6 else _OCCUPATIONS[int(rng.integers(len(_OCCUPATIONS)))]
    title, earlier = _titled(rng, job, level), _one(rng, before.titles)
    name = f"{_one(rng, _FIRST)} {_one(rng, _LAST)}"
    skills = _some(rng, job.skills, 4, 7) + _some(rng, before.skills, 0, 2)
    body = (
        f"{name}, {_small(title)} from {_one(rng, _CITIES)}. Most recently at {_one(rng, _EMPLOYERS)}: "
        f"{_list(_some(rng, job.duties, 1, 3))}. Before that {earlier}: {_list(_some(rng, before.duties, 1, 2))}. "
        f"I know {_list(tuple(dict.fromkeys(skills)))}. I have {job.education} and {_years(years)}. "
        f"I speak {_list(_some(rng, _LANGUAGES, 1, 3))}."
    )
    return Text(f"{name}, {_small(title)}", body)


def _person(rng: np.random.Generator) -> tuple[_Occupation, str, int]:
    level = _one(rng, _SENIORITY)
    low, high = _YEARS[level]
    return _OCCUPATIONS[int(rng.integers(len(_OCCUPATIONS)))], level, int(rng.integers(low, high + 1))


def _titled(rng: np.random.Generator, job: _Occupation, level: str) -> str:
    title = _one(rng, job.titles)
    return f"{level} {title}" if level else title[0].upper() + title[1:]


def _small(title: str) -> str:
    return title[0].lower() + title[1:] if title[1].islower() else title


def _one(rng: np.random.Generator, options: Sequence[str]) -> str:
    return options[int(rng.integers(len(options)))]


def _some(rng: np.random.Generator, options: Sequence[str], least: int, most: int) -> tuple[str, ...]:
    count = min(int(rng.integers(least, most + 1)), len(options))
    return tuple(options[int(i)] for i in rng.choice(len(options), count, replace=False))


def _list(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + f" and {words[-1]}"


def _years(count: int) -> str:
    return {0: "no experience yet", 1: "one year of experience"}.get(count, f"{count} years of experience")
