#!/usr/bin/env python3
"""A zeep client that speaks Panaccess's SOAP binding to our simulated platform.

    pip install zeep==4.3.3 lxml==6.1.3
    headgate simulate panaccess --listen 127.0.0.1:8090 ...     # settings: binding = "soap", user, password; both cards in stock
    python3 panaccess_client.py http://127.0.0.1:8090 [--user op] [--password op-pass] [--card 0123456701] \
        [--other-card 0123456702] [--product 11]

It logs in, makes a subscriber, gives it a card and an order, suspends and resumes it, sets products, PIN and pairing,
shows a message, asks for everything it made, removes it and logs out. Prints one JSON object: an entry for each call, in
order, with what came back. zeep reads the answers by the WSDL and fails where they do not fit it. Exit status: 0 if every
call was answered in the form of the WSDL, as it must be; 1 otherwise, with what is wrong in `problems`.
"""

import argparse
import datetime
import json
import pathlib
import sys

import requests
import zeep
from zeep import xsd
from zeep.helpers import serialize_object
from zeep.transports import Transport

NAMESPACE = "{https://cv.panaccess.com/wsdl/v4.0/operator}"
WSDL = pathlib.Path(__file__).with_name("panaccess.wsdl")
SUBSCRIBER = "PEER-1"
BOX = "00A1B2C3D4E5F601"
# A parameter that is left out.
ABSENT = xsd.SkipValue


class Conversation:
    """Calls operations one after the other, and notes what came back."""

    def __init__(self, url, timeout):
        session = requests.Session()
        session.trust_env = False
        transport = Transport(session=session, timeout=timeout, operation_timeout=timeout)
        self.client = zeep.Client(str(WSDL), transport=transport)
        address = f"{url.rstrip('/')}/index.php?requestMode=wsdl&v=4.0&r=operator&dev=true"
        self.service = self.client.create_service(f"{NAMESPACE}CableViewBinding", address)
        self.calls = []
        self.problems = []
        self.session = None

    def array(self, kind, item, values):
        """An array of the WSDL's type `kind`; zeep names its items as they are named here."""
        items = [xsd.AnyObject(xsd.Element("item", item), value) for value in values]
        return self.client.get_type(NAMESPACE + kind)(items)

    def ask(self, operation, refused=None, **parts):
        """Calls an operation; it must be granted, or refused by that name."""
        if self.session is not None:
            parts["sessionId"] = self.session
        answer, outcome = None, "granted"
        try:
            answer = serialize_object(getattr(self.service, operation)(**parts), dict)
        except zeep.exceptions.Fault as fault:
            outcome = f"{fault.code} {fault.message}"
        except Exception as error:  # A lost connection, an answer that does not fit: all are findings.
            outcome = f"{type(error).__name__}: {error}"
        self.calls.append({"operation": operation, "outcome": outcome, "answer": answer})
        as_it_must = outcome == "granted" if refused is None else refused in outcome
        if not as_it_must:
            self.problems.append(f"{operation}: {outcome}")
        return answer

    def expect(self, what, found):
        """Notes a problem unless `found`."""
        if not found:
            self.problems.append(f"expected {what}; the last answer: {self.calls[-1]['answer']!r}")


def converse(talk, options):
    """The whole conversation."""
    card, other, product = options.card, options.other_card, options.product
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    end = now + datetime.timedelta(days=365)

    talk.session = talk.ask("cvLogin", login=options.user, password=options.password)
    talk.expect("that the session is known", talk.ask("cvLoggedIn") is True)
    told = {"code": SUBSCRIBER, "hcId": "hc1", "countryCode": "CY", "lastName": "Peer & Son <é>"}
    talk.ask("cvAddSubscriber", subscriber=told)
    talk.ask("cvAddSubscriber", refused="not_unique", subscriber=told)
    talk.expect("that the subscriber is there", talk.ask("cvSubscriberExists", code=SUBSCRIBER) is True)
    known = talk.ask("cvGetSubscriber", code=SUBSCRIBER)
    talk.expect("the name as it was told", known is not None and known["lastName"] == told["lastName"])
    talk.ask("cvAddSmartcardToSubscriber", smartcardId=card, code=SUBSCRIBER)
    talk.ask("cvAddSmartcardToSubscriber", refused="smartcard_assigned_already", smartcardId=card, code=SUBSCRIBER)
    cards = talk.ask("cvGetSmartcardsOfSubscriber", code=SUBSCRIBER) or []
    talk.expect("the card", [each["sn"] for each in cards] == [card])

    order = talk.ask(
        "cvAddFlexibleOrderToSubscriber",
        productId=product,
        subscriberCode=SUBSCRIBER,
        activationTime=now,
        expiryTime=end,
        onlySpecifiedSmartcards=True,
        smartcards=talk.array("Strings", xsd.String(), [card]),
        optionalPackages=ABSENT,
    )
    talk.ask("cvDisableOrderOfSubscriber", orderId=order, subscriberCode=SUBSCRIBER)
    orders = talk.ask("cvGetOrdersOfSubscriber", subscriberCode=SUBSCRIBER, includeExpiredOrders=False) or []
    talk.expect("one order, switched off", [(each["orderId"], each["disabled"]) for each in orders] == [(order, True)])
    talk.ask("cvEnableOrderOfSubscriber", orderId=order, subscriberCode=SUBSCRIBER, until=ABSENT)
    on_card = talk.ask("cvGetOrdersOnSmartcard", smartcardId=card) or []
    talk.expect("its end as it was told", len(on_card) == 1 and on_card[0]["expiryTime"] == end)

    products = talk.array("Integers", xsd.Int(), [product, product + 1])
    talk.ask("cvSetSmartcardProducts", sn=other, productIds=products, hcId=ABSENT, expiryTime=end)
    held = {each["productId"] for each in talk.ask("cvGetOrdersOnSmartcard", smartcardId=other) or []}
    talk.expect("both products", held == {product, product + 1})
    both = talk.array("Strings", xsd.String(), [card, other])
    talk.ask("cvSendBulkOsm", smartcards=both, delay=ABSENT, text="Hello <&>", cycleTime=0, cycleId=ABSENT)
    talk.ask("cvCleanSmartcards", smartcards=talk.array("Strings", xsd.String(), [other]))

    talk.ask("cvPairSmartcard", smartcardId=card, stbId=BOX)
    talk.ask("cvChangePinOfSmartcard", smartcardId=card, pin=32)
    talk.ask("cvMarkSmartcardAsDefect", smartcardId=card)
    info = talk.ask("cvGetSmartcardInfo", smartcardId=card) or {}
    expected = {"stbId": BOX, "pin": 32, "defect": True, "disabled": True}
    talk.expect("what was done to the card", {name: info.get(name) for name in expected} == expected)
    talk.ask("cvRefreshSmartcard", smartcardId=card)
    talk.ask("cvGetTasksOfLastCall")
    talk.ask("cvGetSmartcardInfo", refused="not_a_smartcard", smartcardId="12")

    talk.ask("cvDeleteSubscriber", refused="subscriber_has_smartcards", code=SUBSCRIBER)
    talk.ask("cvCleanSmartcards", smartcards=talk.array("Strings", xsd.String(), [card]))
    talk.ask("cvRemoveSmartcardFromSubscriber", smartcardId=card)
    talk.ask("cvDeleteSubscriber", code=SUBSCRIBER)
    talk.ask("cvLogout")
    talk.ask("cvSubscriberExists", refused="no_access_to_function", code=SUBSCRIBER)


def main():
    """Speaks, and tells."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--user", default="op")
    parser.add_argument("--password", default="op-pass")
    parser.add_argument("--card", default="0123456701")
    parser.add_argument("--other-card", default="0123456702")
    parser.add_argument("--product", type=int, default=11)
    parser.add_argument("--timeout", type=float, default=10)
    options = parser.parse_args()
    talk = Conversation(options.url, options.timeout)
    converse(talk, options)
    print(json.dumps({"calls": talk.calls, "problems": talk.problems}, default=str, indent=1))
    return 1 if talk.problems else 0


if __name__ == "__main__":
    sys.exit(main())
