"""A plan: what it counts and prices is what is sent, and whatever is doubtful is said."""

import asyncio
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from time import time_ns
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smppgw import sms
from smppgw.campaign.recipients import Recipients, from_numbers, open_recipients
from smppgw.campaign.submission import Plan, Wish
from smppgw.config import Config, load
from smppgw.errors import ConfigError, InputError
from smppgw.ledger.database import Locks, open_database
from smppgw.ledger.jobs import Addressee, Loading
from smppgw.simulator import Behaviour, Simulator
from smppgw.simulator.witness import Witness
from tests.gateway.trial import account, configure, running

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)  # a Tuesday, 11:00 in Paris
ONE, TWO, OVERSEAS = "+33600000001", "+33600000002", "+262692000001"
LONG = "a" * 161
PERSONAL = "Bonjour {prenom}, l’eau sera coupée jeudi {rue}. À bientôt, le service des eaux."
FIRST_NAMES = (
    "Noël",
    "Chloë",
    "Marie",
    "Zoé",
    "Loïc",
    "François",
    "Anne-Sophie",
    "[Jean]",
    "O’Neil",
)
STREETS = ("Grande Rue", "rue de l’Église", "allée du Château", "12 € {bis}", "chemin " * 12)

ACCOUNT = """
[[smsc]]
name = "{name}"
host = "127.0.0.1"
system_id = "syndic"
password = "secret08"
throughput = 20
{keys}
"""
TENANT = """
[[tenant]]
name = "saint-martin"
sender = "STMARTIN"
rewrite = "gentle"
{keys}
"""


class Site:
    """A configuration in a folder of its own, and plans made from it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def config(self, *accounts: str, tenant: str = "", more: str = "") -> Config:
        tables = [
            ACCOUNT.format(name=f"operator-{at}", keys=keys)
            for at, keys in enumerate(accounts or ("",))
        ]
        path = self.folder / "config.toml"
        path.write_text("".join(tables) + TENANT.format(keys=tenant) + more, "utf-8")
        return load(path)

    def plan(
        self,
        config: Config,
        recipients: Recipients | None = None,
        *,
        now: datetime = NOW,
        job_class: str = "service",
        text: str = "Essai",
        **wish: Any,
    ) -> Plan:
        """Make a plan and walk to its end."""
        ordered = Wish(text=text, job_class=job_class, **wish)
        plan = Plan(config, ordered, recipients or from_numbers([ONE]), now)
        self.walked = list(plan.addressees())
        return plan

    def listed(self, *rows: str, header: str = "Portable;Prénom;Rue") -> Recipients:
        path = self.folder / "list.csv"
        path.write_text("\n".join((header, *rows)), "utf-8")
        return open_recipients(path)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def document(plan: Plan, *, ahead: int = 0, spent: int = 0) -> dict[str, Any]:
    made: dict[str, Any] = plan.document(
        job=None, state="queued", segments_ahead=ahead, spent=spent
    )
    return made


def warnings(plan: Plan, **standing: int) -> str:
    return "\n".join(document(plan, **standing)["warnings"])


# The count


def test_what_is_previewed_is_sent_and_recorded_to_the_segment(tmp_path: Path) -> None:
    asyncio.run(_send_a_mixed_list(tmp_path))


async def _send_a_mixed_list(folder: Path) -> None:
    rows = [
        f"06 00 00 {at // 100:02d} {at % 100:02d};{FIRST_NAMES[at % 9]};{STREETS[at % 5]}"
        for at in range(300)
    ]
    path = folder / "list.csv"
    path.write_text("\n".join(("Portable;Prénom;Rue", *rows)), "utf-8")
    witness = Witness()
    async with Simulator(Behaviour(seed=1), port=0, witness=witness) as smsc:
        for rewrite in sms.REWRITES:
            config = configure(folder, account(smsc.port, price=0.038))
            wish = Wish(text=PERSONAL, job_class="service", rewrite=rewrite)
            preview = Plan(config, wish, open_recipients(path), NOW)
            for _ in preview.addressees():
                pass
            foretold = document(preview)
            job_id = await asyncio.to_thread(_submit, config, wish, path)
            before = len(witness.accepted)
            async with running(config) as trial:
                await trial.until_counts(job_id, {"delivered": 300})
                sent = len(witness.accepted) - before
                assert foretold["segments"] == sent == trial.job(job_id).segments
                recorded = trial.db.execute("SELECT count(*) FROM segment").fetchone()[0]
                assert recorded == len(witness.accepted)
            assert foretold["price"]["amount"] == f"{sent * Decimal('0.038'):.2f}"
            assert foretold["rewrites"][rewrite]["segments"] == sent
            assert foretold["text"]["segments_min"] < foretold["text"]["segments_max"]
    assert foretold["text"]["encoding"] == "gsm7"  # the last was full


def _submit(config: Config, wish: Wish, path: Path) -> int:
    database = config.gateway.database
    db, locks = open_database(database, create=True), Locks(database)
    try:
        plan = Plan(config, wish, open_recipients(path), datetime.now(UTC))
        loading = Loading(db, locks, plan.order, config.prefixes)
        loading.add(plan.addressees())
        return loading.finish(time_ns() // 1_000_000)
    finally:
        db.close()
        locks.close()


@pytest.mark.parametrize("rewrite", sms.REWRITES)
def test_each_message_and_each_rewrite_count_what_compose_makes(rewrite: str, site: Site) -> None:
    rows = [f"06000000{at:02d};{FIRST_NAMES[at % 9]};{STREETS[at % 5]}" for at in range(45)]
    plan = site.plan(site.config(), site.listed(*rows), text=PERSONAL, rewrite=rewrite)
    template = sms.Template(PERSONAL)
    texts = [template.fill(json.loads(one.fields or "")) for one in site.walked]
    for other in sms.REWRITES:
        counts = [len(sms.compose(text, other).segments) for text in texts]
        assert plan.tally.segments[other] == sum(counts)
        if other == rewrite:
            assert [one.segments for one in site.walked] == counts
            assert (plan.tally.shortest, plan.tally.longest) == (min(counts), max(counts))


@given(st.text(st.sampled_from("aé’…«\u00a0œêç😀\u200b\u0301°1\u00ad\ufb01\r\n[€"), max_size=200))
def test_a_rewrite_that_goes_further_than_one_that_sufficed_changes_no_count(text: str) -> None:
    gentle, full = sms.compose(text, "gentle"), sms.compose(text, "full")
    if gentle.encoding == "gsm7":
        assert (full.encoding, full.units) == (gentle.encoding, gentle.units)


def test_as_payload_a_text_is_one_submit_and_costs_its_segments(site: Site) -> None:
    plan = site.plan(site.config('long_text = "payload"\nprice = 0.04'), text=LONG)
    assert site.walked == [Addressee(ONE, 1, None)]
    assert (document(plan)["segments"], document(plan)["price"]["amount"]) == (2, "0.08")


def test_time_is_what_is_ahead_and_the_job_at_the_contracts_rate(site: Site) -> None:
    told = document(site.plan(site.config("", "")), ahead=399)
    assert (told["segments_ahead"], told["seconds"]) == (399, 10)
    assert datetime.fromisoformat(told["finish_at"]) == NOW + timedelta(seconds=10)


# The price


def test_numbers_are_priced_by_their_longest_prefix_exactly(site: Site) -> None:
    config = site.config('price = { default = 0.038, "+262" = 0.06, "+2626" = 0.0601 }')
    plan = site.plan(config, from_numbers([ONE, TWO, OVERSEAS, "+262639000001"]), text=LONG)
    assert plan.tally.price("gentle") == 2 * (2 * Decimal("0.038") + 2 * Decimal("0.0601"))
    many = from_numbers([f"+336{at:08d}" for at in range(1000)])
    assert site.plan(site.config("price = 0.1"), many).tally.price("keep") == 100


@pytest.mark.parametrize(
    ("day", "amount"),
    [("2026-12-31T22:59", "0.038"), ("2026-12-31T23:00", "0.041"), ("2028-01-01T00:00", "0.05")],
)
def test_the_price_is_that_of_the_day_in_the_gateways_time_zone(
    day: str, amount: str, site: Site
) -> None:
    config = site.config(
        "price = [{ from = 2028-01-01, default = 0.05 }, { default = 0.038 },"
        ' { from = 2027-01-01, default = 0.041, "+262" = 0.06 }]'
    )
    now = datetime.fromisoformat(f"{day}Z")
    assert site.plan(config, now=now).tally.price("keep") == Decimal(amount)
    assert config.smsc[0].price_for(OVERSEAS, date(2027, 5, 1)) == Decimal("0.06")
    assert config.smsc[0].price_for(OVERSEAS) == Decimal("0.05")


def test_before_the_first_price_begins_there_is_none(site: Site) -> None:
    config = site.config("price = [{ from = 2027-01-01, default = 0.041 }]")
    assert document(site.plan(config))["price"] is None


@pytest.mark.parametrize(
    "price",
    [
        "[]",
        "[1]",
        '[{ from = "2027", default = 1 }]',
        "[{ from = 2027-01-01T00:00:00, default = 1 }]",
        "[{ from = 2027-01-01 }]",
        "[{ default = 1 }, { default = 2 }]",
        "[{ default = nan }]",
        '[{ "262" = 1 }]',
    ],
)
def test_prices_that_cannot_be_meant_are_refused(price: str, site: Site) -> None:
    with pytest.raises(ConfigError, match=r"operator-0\" price: must be"):
        site.config(f"price = {price}")


def test_of_several_accounts_the_dearest_that_may_send_a_message_gives_its_price(
    site: Site,
) -> None:
    config = site.config(
        "price = 0.05", "price = 0.03", 'price = 0.09\nprefixes = ["+262"]',
        'price = 0.5\nclasses = ["alert"]',
    )  # fmt: skip
    assert site.plan(config, from_numbers([ONE])).tally.price("keep") == Decimal("0.05")
    assert site.plan(config, from_numbers([OVERSEAS])).tally.price("keep") == Decimal("0.09")


def test_where_some_numbers_have_no_price_the_bill_is_not_known_and_says_so(site: Site) -> None:
    config = site.config('price = { "+33" = 0.03 }')
    plan = site.plan(config, from_numbers([ONE, OVERSEAS]))
    assert document(plan)["price"] is None
    assert "no price for numbers under +262: what 1 message costs" in warnings(plan)
    assert document(site.plan(config, from_numbers([ONE])))["price"]["amount"] == "0.03"


def test_numbers_that_no_account_takes_are_told(site: Site) -> None:
    config = site.config('prefixes = ["+33"]')
    assert "1 message would never leave" in warnings(site.plan(config, from_numbers([OVERSEAS])))
    assert "never leave" not in warnings(site.plan(config))


# What is said


def test_blanks_that_a_default_filled_are_counted(site: Site) -> None:
    listed = site.listed("0600000001;Noël;", "0600000002; ;", "0600000003;;x")
    plan = site.plan(site.config(), listed, text="{prenom|Madame, Monsieur} {rue|ici}")
    assert "{prenom} is blank for 2 of 3: they get its default." in warnings(plan)
    assert "{rue} is blank for 2 of 3" in warnings(plan)
    texts = [example.text for _, example in plan.tally.examples.named()]
    assert "Madame, Monsieur ici" in texts


def test_a_blank_without_a_default_is_refused_with_its_row(site: Site) -> None:
    listed = site.listed("0600000001;Noël;", "0600000002;;")
    with pytest.raises(InputError, match=r"list\.csv, row 3: \{prenom\} is blank"):
        site.plan(site.config(), listed, text="{prenom}")


def test_an_end_after_the_messages_expire_counts_what_is_queued_already(site: Site) -> None:
    plan = site.plan(site.config(), expires_s=60.0)
    assert "after the messages expire" not in warnings(plan, ahead=1190)
    assert "after the messages expire" in warnings(plan, ahead=1220)


def test_promotional_hours_that_end_too_early_are_told_with_what_is_queued(site: Site) -> None:
    config = site.config()
    plan = site.plan(config, job_class="promotional", text="Fête. STOP au 36111")
    nine_hours = 9 * 3600 * 20  # to 20:00 in Paris
    assert warnings(plan, ahead=nine_hours - 100) == ""
    assert warnings(plan, ahead=nine_hours + 100) == (
        "Sending would not end before 20:00: it pauses then and goes on Wednesday at 08:00."
    )
    told = document(plan, ahead=nine_hours + 100)
    assert datetime.fromisoformat(told["finish_at"]) == datetime(2026, 11, 25, 7, 0, 5, tzinfo=UTC)


def test_even_one_message_ends_within_the_hours(site: Site) -> None:
    sunday = datetime(2026, 11, 29, 10, tzinfo=UTC)
    plan = site.plan(site.config(), job_class="promotional", text="Fête", now=sunday)
    told = datetime.fromisoformat(document(plan)["finish_at"])
    assert told == datetime(2026, 11, 30, 7, 0, 1, tzinfo=UTC)


def test_overseas_numbers_end_by_their_own_hours(site: Site) -> None:
    config = site.config()
    plan = site.plan(
        config,
        from_numbers([ONE, OVERSEAS]),
        job_class="promotional",
        text="Fête. STOP au 36111",
    )
    told = document(plan, ahead=int(6.5 * 3600) * 20)  # 14:00 to 20:00 there, and from 08:00
    assert datetime.fromisoformat(told["finish_at"]).astimezone(UTC).hour == 4
    assert "numbers under +262" in "".join(told["warnings"])


def test_numbers_that_fewer_accounts_take_set_the_time(site: Site) -> None:
    numbers = [f"+2626920000{at:02}" for at in range(80)]
    both = site.plan(site.config("", ""), from_numbers(numbers))
    one = site.plan(site.config('prefixes = ["+33"]', ""), from_numbers(numbers))
    assert (document(both)["seconds"], document(one)["seconds"]) == (2, 4)


def test_a_job_begins_when_it_is_scheduled_and_its_validity_runs_from_there(site: Site) -> None:
    later = NOW + timedelta(hours=5)
    plan = site.plan(site.config(), starts_at=later, expires_s=3600.0)
    assert plan.order.starts_at == int(later.timestamp() * 1000)
    assert plan.order.expires_at == int((later + timedelta(hours=1)).timestamp() * 1000)
    told = document(plan)
    assert datetime.fromisoformat(told["starts_at"]) == later
    assert datetime.fromisoformat(told["finish_at"]) >= later
    with pytest.raises(InputError, match="is past"):
        site.plan(site.config(), starts_at=NOW)
    with pytest.raises(InputError, match="more than a year"):
        site.plan(site.config(), starts_at=NOW + timedelta(days=366))


def test_a_drill_says_so_in_its_first_words_and_is_an_alert(site: Site) -> None:
    drill: dict[str, Any] = {"exercise": True, "job_class": "alert"}
    assert site.plan(site.config(), text="Crue.", **drill).order.text == "EXERCICE EXERCICE Crue."
    marked = site.plan(site.config(), text="Exercice exercice : crue", **drill)
    assert marked.order.text == "Exercice exercice : crue"
    assert marked.order.exercise
    with pytest.raises(InputError, match="--class alert"):
        site.plan(site.config(), exercise=True)


def test_only_those_named_may_send_a_class_that_names_some(site: Site) -> None:
    config = site.config(more='[class.alert]\nusers = ["maire"]')
    with pytest.raises(InputError, match=r"stagiaire may not send the class alert.*users"):
        site.plan(config, job_class="alert", ordered_by="stagiaire")
    site.plan(config, job_class="alert", ordered_by="maire")
    site.plan(config, ordered_by="stagiaire")


def test_whoever_opted_out_is_left_out_and_counted(site: Site) -> None:
    recipients = from_numbers([ONE, TWO])
    recipients.blocked = {TWO}
    told = document(site.plan(site.config(), recipients))
    assert told["recipients"] | {"read": 2} == {
        "read": 2, "queued": 1, "invalid": 0, "duplicate": 0, "opted_out": 1,
    }  # fmt: skip


def test_a_sender_is_held_to_the_rule_of_the_configuration(site: Site) -> None:
    assert site.plan(site.config(), sender="36111").order.sender == "36111"
    with pytest.raises(InputError, match=r"not 'St-Dénis'; StDenis would do"):
        site.plan(site.config(), sender="St-Dénis")
    with pytest.raises(InputError, match="The sender must be"):
        site.plan(site.config(), sender="")


def test_a_sender_without_approval_is_refused_where_an_account_demands_one(site: Site) -> None:
    config = site.config('senders = "approved"')
    with pytest.raises(InputError, match=r"operator-0 .*STMARTIN of saint-martin.*no approval"):
        site.plan(config).require_sender()
    alert = site.plan(config, job_class="alert")
    alert.require_sender()
    assert "STMARTIN of saint-martin is none" in warnings(alert)
    others = site.config("", 'senders = "approved"\nclasses = ["alert"]')
    site.plan(others).require_sender()  # that account would not send it


def test_an_approval_holds_to_its_last_day(site: Site) -> None:
    config = site.config(
        'senders = "approved"',
        tenant='approvals = { operator-0 = { state = "approved", until = 2026-11-24 } }',
    )
    site.plan(config).require_sender()
    with pytest.raises(InputError, match="the approval ended on 2026-11-24"):
        site.plan(config, now=NOW + timedelta(days=1)).require_sender()
    with pytest.raises(InputError, match="approvals are written down for STMARTIN alone"):
        site.plan(config, sender="AUTRE").require_sender()


# The budget


def test_the_budget_is_told_with_what_is_used_and_what_this_takes(site: Site) -> None:
    plan = site.plan(site.config(tenant="segments_a_month = 100"), text=LONG)
    assert document(plan, spent=90)["budget"] == {"limit": 100, "used": 90, "after": 92}
    assert document(site.plan(site.config()))["budget"] is None


@pytest.mark.parametrize("job_class", ["service", "alert"])
def test_beyond_the_budget_service_and_alerts_are_told_and_go(job_class: str, site: Site) -> None:
    plan = site.plan(site.config(tenant="segments_a_month = 100"), job_class=job_class)
    budget = plan.budget(100)
    assert budget is not None
    budget.require(job_class)
    assert "Of this month's 100 segments 0 are left, and this takes 1." in warnings(plan, spent=100)
    assert "this month" not in warnings(plan, spent=99)


def test_beyond_the_budget_promotional_jobs_are_refused(site: Site) -> None:
    config = site.config(tenant="segments_a_month = 100")
    plan = site.plan(config, job_class="promotional", text=LONG)
    for spent, refused in ((98, False), (99, True)):
        budget = plan.budget(spent)
        assert budget is not None
        if refused:
            with pytest.raises(InputError, match="100 segments 1 are left, and this takes 2"):
                budget.require("promotional")
        else:
            budget.require("promotional")
