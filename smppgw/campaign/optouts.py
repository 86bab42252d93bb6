"""What answers a STOP: the text that tells each tenant's people that it was understood."""

from smppgw import sms
from smppgw.campaign.hours import routes_of
from smppgw.config import Config
from smppgw.ledger.optouts import Confirmation


def confirmations(config: Config) -> dict[str, Confirmation]:
    """Return the confirmation of each tenant, by name; empty where none is to be sent.

    It is the text of [optouts] confirmation as it stands, braces included, as a service message
    from the tenant's sender.
    """
    text = config.optouts.confirmation.strip()
    if not text:
        return {}
    # The configuration sees to it that the accounts agree on what changes the count of segments.
    account = next(account for account in config.smsc if "service" in account.classes)
    return {
        tenant.name: Confirmation(
            sender=tenant.sender,
            text=text.replace("{", "{{").replace("}", "}}"),
            rewrite=(rewrite := config.rewrite_for(tenant, "service")),
            segments=1
            if account.long_text == "payload"
            else len(sms.compose(text, rewrite, latin1=account.alphabet == "latin1").segments),
            validity_ms=round(config.classes.service.expires_s * 1000),
            prefixes=routes_of(config),
        )
        for tenant in config.tenant
    }
