"""Make the demo's list: `python -m smppgw.demo.make_list FILE`.

500 rows as a secretary keeps them: accents, numbers with spaces, dots and a lost zero, overseas
numbers, duplicates, landlines, nonsense. The numbers are invented, of the form 06 00 00 xx xx and
its kin.
"""

import random
import sys
from pathlib import Path

import xlsxwriter

FIRST_NAMES = (
    "Noël", "Chloë", "François", "Anaïs", "Loïc", "Zoé", "Hélène", "Jérôme", "Inès", "Gaël",
    "Marie", "Paul", "Léa", "Hugo", "Louise", "Jules", "Alice", "Adèle", "Émile", "Côme",
)  # fmt: skip
LAST_NAMES = (
    "Lefèvre", "Müller", "Garçon", "Benoît", "D'Hondt", "Le Goff", "Châtelain", "N'Diaye",
    "Petit", "Moreau", "Roux", "Faure", "Blanc", "Guérin", "Boyer", "Noël", "Forêt", "Île",
)  # fmt: skip
STREETS = (
    "rue de l'Église", "place du Marché", "chemin des Prés", "rue du Moulin", "impasse du Lavoir",
    "avenue de la République prolongée, résidence des Trois Chênes, bâtiment C, escalier 2",
    "rue Haute", "quai de la Lys", "route de la Forêt", "rue des Écoles",
)  # fmt: skip
ROWS = 500


def number_cell(position: int, chance: random.Random) -> str | float:
    """Return a phone cell as somebody might have typed it, or as Excel spoiled it."""
    tail = f"{position:04d}"
    if position % 100 == 7:
        return f"0690 00 {tail[:2]} {tail[2:]}"  # Guadeloupe
    if position % 100 == 17:
        return f"069200{tail}"  # Réunion
    if position % 50 == 23:
        return f"01 00 00 {tail[:2]} {tail[2:]}"  # a landline
    if position % 125 == 31:
        return chance.choice(["néant", "voir sa fille", "06 00 00", "12/05/2024"])
    if position % 125 == 47:
        return f"06 00 00 {tail[:2]} {tail[2:]} / 06 00 01 {tail[:2]} {tail[2:]}"
    if position % 250 == 77:
        return ""
    if position % 40 == 11:
        tail = f"{position - 7:04d}"  # somebody is in the list twice
    match position % 7:
        case 0:
            return f"06.00.00.{tail[:2]}.{tail[2:]}"
        case 1:
            return f"060000{tail}"
        case 2:
            return float(f"60000{tail}")  # Excel ate the zero
        case 3:
            return f"+33 6 00 00 {tail[:2]} {tail[2:]}"
        case 4:
            return f"0033 60000{tail}"
        case 5:
            return f"+33(0)6 00 00 {tail[:2]} {tail[2:]}"
        case _:
            return f"06\N{NO-BREAK SPACE}00\N{NO-BREAK SPACE}00 {tail[:2]} {tail[2:]}"


def make_list(path: Path) -> None:
    """Write the list; the same each time."""
    chance = random.Random(2024)  # nosec B311  # no secret
    book = xlsxwriter.Workbook(path)
    sheet = book.add_worksheet("Habitants")
    bold = book.add_format({"bold": True})
    headers = ("Nom", "Prénom", "Rue", "Téléphone portable", "Remarque")
    sheet.write_row(0, 0, headers, bold)
    sheet.set_column(0, 4, 22)
    for position in range(1, ROWS + 1):
        cells = (
            chance.choice(LAST_NAMES),
            chance.choice(FIRST_NAMES),
            chance.choice(STREETS),
            number_cell(position, chance),
            "" if chance.random() < 0.9 else "appeler le soir",
        )
        sheet.write_row(position, 0, cells)
    book.close()


if __name__ == "__main__":
    make_list(Path(sys.argv[1]))
