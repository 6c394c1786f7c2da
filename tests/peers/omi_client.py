#!/usr/bin/env python3
"""A zeep client that speaks OMI to a platform: ours, simulated, or `omi_server.py`.

    pip install -r requirements.txt
    headgate simulate vcas-omi --listen 127.0.0.1:8090 ...      # or any other platform
    python3 omi_client.py http://127.0.0.1:8090 [--user headgate] [--password ''] [--network dvb-network] \
        [--card PEER-CARD-1] [--package PKG-BASIC]

It signs on, adds a device and an entitlement, sets a PIN, pairs, shows a message, asks, removes what it made and signs
off. Prints one JSON object: an entry for each call, in order, with what came back. zeep reads the answers by the WSDL
and fails where they do not fit it. Exit status: 0 if every call was answered in the form of the WSDL and those that must
succeed have code 0; 1 otherwise, with what is wrong in `problems`.
"""

import argparse
import datetime
import json
import pathlib
import sys

import requests
import zeep
from zeep.helpers import serialize_object
from zeep.transports import Transport

OMI = "{http://www.verimatrix.com/omi}"
WSDL = pathlib.Path(__file__).with_name("omi.wsdl")
SERVICES = {
    "AdminMgmt": "AdminMgmtService",
    "ConfigurationMgmt": "ConfigurationMgmtService",
    "DeviceMgmt": "DeviceMgmtService",
    "EntitlementMgmt": "EntitlementMgmtService",
    "Messaging": "MessagingService",
}


class Conversation:
    """Calls operations one after the other, and notes what came back."""

    def __init__(self, url, timeout):
        session = requests.Session()
        session.trust_env = False
        transport = Transport(session=session, timeout=timeout, operation_timeout=timeout)
        client = zeep.Client(str(WSDL), transport=transport)
        self.services = {
            name: client.create_service(f"{OMI}{name}Binding", f"{url.rstrip('/')}/services/{path}")
            for name, path in SERVICES.items()
        }
        self.calls = []
        self.problems = []
        self.handle = None

    def ask(self, service, operation, must_be=0, **parts):
        """Calls an operation; the code of every result in its answer must be `must_be` (absent: any)."""
        if self.handle is not None:
            parts["sessionHandle"] = {"handle": self.handle}
        answer = None
        try:
            answer = serialize_object(getattr(self.services[service], operation)(**parts), dict)
        except Exception as error:  # A fault, a lost connection, an answer that does not fit: all are findings.
            self.problems.append(f"{operation}: {type(error).__name__}: {error}")
        codes = list(result_codes(answer))
        if answer is not None and not codes:
            self.problems.append(f"{operation}: no result in the answer")
        if must_be is not None and any(code != must_be for code in codes):
            self.problems.append(f"{operation}: result codes {codes}, not {must_be}")
        self.calls.append({"operation": operation, "answer": answer})
        return answer


def result_codes(value):
    """Every `resultCode` in an answer."""
    if isinstance(value, dict):
        if value.get("resultCode") is not None:
            yield value["resultCode"]
        for inner in value.values():
            yield from result_codes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from result_codes(inner)


def converse(arguments):
    """The whole conversation."""
    talk = Conversation(arguments.url, arguments.timeout)
    card, network, package = arguments.card, arguments.network, arguments.package
    stb = card + "-STB"
    user = {"userName": arguments.user, "password": arguments.password}
    opened = talk.ask("AdminMgmt", "signOn", userAttributes=user)
    try:
        talk.handle = opened["sessionHandle"]["handle"]
    except (KeyError, TypeError):
        talk.problems.append("signOn: no session")
        return talk

    def device(number, kind):
        return {"smsDeviceId": number, "smsNetworkId": network, "deviceType": kind, "networkDeviceId": number}

    smartcard = device(card, "STB_DVB_SC")
    both = [smartcard, device(stb, "STB_DVB_STB")]
    utc = datetime.timezone.utc
    entitlement = {
        "smsEntitlementId": f"{card}-{package}",
        "package": {"smsPackageId": package},
        "entitledEntity": {"entityType": "DEVICE", "entityId": card},
        "timePeriodRule": {
            "startTime": datetime.datetime(2026, 1, 1, tzinfo=utc),
            "endTime": datetime.datetime(2030, 1, 1, tzinfo=utc),
        },
    }
    pair = {"stbDevice": {"smsSTBId": stb}, "smartCardDevice": {"smsSmartCardId": card}}
    message = {
        "messageHandle": {"sector": 1, "messageId": 42},
        "messageAttributes": {"contentMode": "POS"},
        "messageText": [{"text": "Grüße & <tags>"}],
        "messageDescriptor": [
            {
                "displayMode": "RM_IMMED",
                "displayDuration": 30,
                "xOrigin": "ORIGL",
                "xPosition": 0,
                "xAnchor": "CENTER",
                "yOrigin": "ORIGTOP",
                "yPosition": 0,
                "yAnchor": "CENTER",
                "textAlign": "CENTER",
                "bgColor": 0,
                "alpha": 0,
            }
        ],
    }
    talk.ask("ConfigurationMgmt", "getNetworkList")
    talk.ask("DeviceMgmt", "addDevices", deviceList={"devices": both})
    talk.ask("EntitlementMgmt", "addEntitlements", entitlementList={"entitlements": [entitlement]})
    talk.ask("DeviceMgmt", "setDevicePins", device=smartcard, devicePinList={"pins": [{"index": 0, "value": 4321}]})
    talk.ask("DeviceMgmt", "addDevicePair", devicePair=pair)
    talk.ask("DeviceMgmt", "checkDevicePair", devicePair=pair)
    audience = {"entityType": "DEVICE", "entityId": card, "smsNetworkId": network}
    talk.ask("Messaging", "generateOSM", messageEntity=audience, message=message)
    held = talk.ask("EntitlementMgmt", "getDeviceEntitlements", query={"smsDeviceId": card})
    paired = talk.ask("DeviceMgmt", "getSmartCardPairing", query={"smartCardDeviceId": card})
    talk.ask("DeviceMgmt", "getDeviceList", query={"smsDeviceId": "", "deviceCount": 10})
    talk.ask("DeviceMgmt", "refreshDeviceEntitlements", device=smartcard)
    expect(talk, "the entitlement", held, f"{card}-{package}")
    expect(talk, "the box", paired, stb)
    talk.ask("EntitlementMgmt", "removeEntitlements", entitlementList={"entitlements": [{**entitlement, "timePeriodRule": {}}]})
    # An item that is not there: its own refusal, in the list.
    nobody = talk.ask("DeviceMgmt", "removeDevices", must_be=None, deviceList={"devices": [*both, device("PEER-NOBODY", "STB_DVB_SC")]})
    codes = sorted(code == 0 for code in result_codes(nobody))
    if codes != [False, True, True]:
        talk.problems.append("removeDevices: not two successes and one refusal")
    talk.ask("AdminMgmt", "signOff")
    talk.ask("ConfigurationMgmt", "getNetworkList", must_be=None)
    if 0 in result_codes(talk.calls[-1]["answer"]):
        talk.problems.append("getNetworkList: done without a session")
    return talk


def expect(talk, what, answer, text):
    """Notes a problem if `text` is nowhere in the answer."""
    if text not in json.dumps(answer, default=str):
        talk.problems.append(f"{what} is not in the answer")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="where the platform is, without /services")
    parser.add_argument("--user", default="headgate")
    parser.add_argument("--password", default="")
    parser.add_argument("--network", default="dvb-network")
    parser.add_argument("--card", default="PEER-CARD-1")
    parser.add_argument("--package", default="PKG-BASIC")
    parser.add_argument("--timeout", type=float, default=10, help="seconds a call may take")
    talk = converse(parser.parse_args())
    print(json.dumps({"calls": talk.calls, "problems": talk.problems}, default=str, ensure_ascii=False))
    return 1 if talk.problems else 0


if __name__ == "__main__":
    sys.exit(main())
