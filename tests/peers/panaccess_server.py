#!/usr/bin/env python3
"""A Panaccess platform of another make, to which the adapter speaks SOAP: it checks every request against the WSDL.

    pip install zeep==4.3.3 lxml==6.1.3
    python3 panaccess_server.py [--port 0] [--user op] [--password op-pass] [--lose-session-after N]

Prints `{"listening": "http://127.0.0.1:PORT"}` first, then a JSON line for each request: `operation`, `problems`
(empty: it fits the WSDL, its SOAPAction, its query and its encoding), `result` (`granted`, or the refusal's name). Stops
at the end of its standard input and prints `{"state": ...}`: what it holds, and how many requests had problems. Exit
status 1 if any had.

It knows every card of 10 digits. Its answers use other prefixes than ours and tell every value by reference, as Axis
does (`href` and `multiRef`). With `--lose-session-after N` every session is forgotten once, before the N-th request.
"""

import argparse
import json
import pathlib
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from lxml import etree

CV = "https://cv.panaccess.com/wsdl/v4.0/operator"
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
ENCODING = "http://schemas.xmlsoap.org/soap/encoding/"
XSD = "http://www.w3.org/2001/XMLSchema"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
WSDL = {"w": "http://schemas.xmlsoap.org/wsdl/", "x": XSD, "s": "http://schemas.xmlsoap.org/wsdl/soap/"}
SCALARS = {
    "string": str,
    "int": int,
    "long": int,
    "boolean": lambda text: {"true": True, "false": False, "1": True, "0": False}[text],
    "dateTime": lambda text: re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text).group(),
}


class Refused(Exception):
    """The platform says no, by that name."""


class Description:
    """The WSDL: operations with their parts, records with their members, lists with their items."""

    def __init__(self, path):
        wsdl = etree.parse(str(path))
        local = lambda name: name.split(":")[1]
        self.parts = {
            message.get("name"): [(part.get("name"), local(part.get("type"))) for part in message.iterfind("w:part", WSDL)]
            for message in wsdl.iterfind("w:message", WSDL)
        }
        self.unstable, self.literal = set(), set()
        for operation in wsdl.iterfind(".//w:portType/w:operation", WSDL):
            if operation.findtext("w:documentation", namespaces=WSDL) == "unstable":
                self.unstable.add(operation.get("name"))
        for operation in wsdl.iterfind(".//w:binding/w:operation", WSDL):
            if operation.find("w:input/s:body", WSDL).get("use") == "literal":
                self.literal.add(operation.get("name"))
        self.records, self.lists = {}, {}
        for kind in wsdl.iterfind(".//x:complexType", WSDL):
            array = kind.find(".//x:attribute", WSDL)
            if array is None:
                members = kind.iterfind(".//x:element", WSDL)
                self.records[kind.get("name")] = {each.get("name"): local(each.get("type")) for each in members}
            else:
                item = array.get(f"{{{WSDL['w']}}}arrayType")
                self.lists[kind.get("name")] = local(item.removesuffix("[]"))


class Checker:
    """Reads one request by the description, and notes what does not fit."""

    def __init__(self, description):
        self.description = description
        self.problems = []

    def request(self, path, headers, body):
        """The operation and its parameters by name."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
        envelope = etree.fromstring(body, etree.XMLParser(resolve_entities=False, no_network=True))
        self.must(envelope.tag == f"{{{SOAP}}}Envelope", "the root is no Envelope")
        wrapper = envelope.find(f"{{{SOAP}}}Body")[0]
        name = etree.QName(wrapper)
        operation = name.localname
        self.must(name.namespace == CV and operation in self.description.parts, f"no operation {name.text}")
        self.must(urlsplit(path).path == "/index.php", f"path {path}")
        fixed = {"requestMode": "wsdl", "v": "4.0", "r": "operator"}
        self.must(fixed.items() <= query.items(), f"query {query}")
        dev = query.get("dev") == "true"
        self.must(dev or operation not in self.description.unstable, "the stable set does not have it")
        self.must(headers.get("SOAPAction") == f'"{CV}#{operation}"', f"SOAPAction {headers.get('SOAPAction')}")
        kind = headers.get("Content-Type", "").replace(" ", "").lower()
        self.must(kind == "text/xml;charset=utf-8", f"Content-Type {kind}")
        literal = operation in self.description.literal
        style = wrapper.get(f"{{{SOAP}}}encodingStyle")
        self.must(style == (None if literal else ENCODING), f"encodingStyle {style}")
        parts = self.description.parts.get(operation, [])
        given = [child.tag for child in wrapper]
        self.must(given == [part for part, _ in parts], f"parts {given}")
        kinds = dict(parts)
        return operation, {part.tag: self.value(part, kinds.get(part.tag, "string"), literal) for part in wrapper}

    def must(self, so, text):
        if not so:
            self.problems.append(text)

    def qualified(self, element, attribute):
        """The value of an attribute that is a qualified name: namespace and local name."""
        text = element.get(attribute)
        if text is None:
            return (None, None)
        prefix, _, local = text.rpartition(":")
        return (element.nsmap.get(prefix or None), local)

    def value(self, element, kind, literal=False):
        """What an element of that type holds."""
        if element.get(f"{{{XSI}}}nil") == "true":
            self.must(len(element) == 0 and not element.text, f"{element.tag} is nil and holds something")
            return None
        told = self.qualified(element, f"{{{XSI}}}type")
        if kind in self.description.lists:
            return self.list(element, kind, told)
        if kind in self.description.records:
            self.must(told == (CV, kind), f"{element.tag} is a {told} and should be a {kind}")
            members = self.description.records[kind]
            unknown = [child.tag for child in element if child.tag not in members]
            self.must(not unknown, f"{kind} has no {unknown}")
            return {child.tag: self.value(child, members.get(child.tag, "string")) for child in element}
        expected = [(None, None)] if literal else [(XSD, kind)]
        self.must(told in expected, f"{element.tag} is a {told} and should be a {kind}")
        try:
            return SCALARS[kind](element.text or "")
        except (ValueError, KeyError, AttributeError):
            self.problems.append(f"{element.tag} is no {kind}")
            return None

    def list(self, element, kind, told):
        """A list; its type's own name stands where that of its items would be expected."""
        self.must(told == (ENCODING, "Array"), f"{element.tag} is a {told} and should be an Array")
        array = self.qualified(element, f"{{{ENCODING}}}arrayType")
        self.must(array == (CV, f"{kind}[{len(element)}]"), f"arrayType {array} of {len(element)} {kind}")
        return [self.value(child, self.description.lists[kind]) for child in element]


class Writer:
    """Writes one answer as Axis does: every value beside the operation, and referred to."""

    def __init__(self, description):
        self.description = description
        self.envelope = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"E": SOAP, "t": XSD, "i": XSI})
        self.body = etree.SubElement(self.envelope, f"{{{SOAP}}}Body")
        self.waiting = []

    def answer(self, operation, value):
        """The answer of an operation."""
        response = etree.SubElement(self.body, f"{{{CV}}}{operation}Response", nsmap={"q7": CV})
        response.set(f"{{{SOAP}}}encodingStyle", ENCODING)
        parts = self.description.parts[f"{operation}Response"]
        if parts:
            self.refer(etree.SubElement(response, "return"), parts[0][1], value)
        count = 0
        while self.waiting:
            element, kind, value = self.waiting.pop(0)
            element.set("href", f"#id{count}")
            target = etree.SubElement(self.body, "multiRef", id=f"id{count}", nsmap={"q9": CV, "enc": ENCODING})
            self.fill(target, kind, value)
            count += 1
        return etree.tostring(self.envelope, xml_declaration=True, encoding="utf-8")

    def fault(self, name):
        """A refusal, its name where nobody has confirmed it."""
        fault = etree.SubElement(self.body, f"{{{SOAP}}}Fault")
        etree.SubElement(fault, "faultcode").text = "E:Server"
        etree.SubElement(fault, "faultstring").text = name
        return etree.tostring(self.envelope, xml_declaration=True, encoding="utf-8")

    def refer(self, element, kind, value):
        if value is None:
            element.set(f"{{{XSI}}}nil", "true")
        elif kind in ("string", "dateTime"):
            element.text = value
        else:
            self.waiting.append((element, kind, value))

    def fill(self, target, kind, value):
        if kind in self.description.lists:
            target.set(f"{{{XSI}}}type", "enc:Array")
            target.set(f"{{{ENCODING}}}arrayType", f"q9:{kind}[{len(value)}]")
            for item in value:
                self.refer(etree.SubElement(target, "item"), self.description.lists[kind], item)
        elif kind in self.description.records:
            target.set(f"{{{XSI}}}type", f"q9:{kind}")
            for name, member in self.description.records[kind].items():
                self.refer(etree.SubElement(target, name), member, value.get(name))
        else:
            target.set(f"{{{XSI}}}type", f"t:{kind}")
            target.text = {True: "1", False: "0"}[value] if isinstance(value, bool) else str(value)


class Platform:
    """What is held, and what is done with it. An operation is a method of its name."""

    def __init__(self, user, password):
        self.user, self.password = user, password
        self.sessions, self.logins = set(), 0
        self.subscribers, self.cards, self.orders, self.messages = {}, {}, {}, []
        self.number = 0

    def carry_out(self, operation, parameters):
        if operation == "cvLogin":
            return self.log_in(**parameters)
        session = parameters.pop("sessionId")
        if operation == "cvLoggedIn":
            return session in self.sessions
        if session not in self.sessions:
            raise Refused("no_access_to_function")
        if operation == "cvLogout":
            return self.sessions.discard(session)
        method = getattr(self, operation, None)
        if method is None:
            raise Refused("function_not_available")
        return method(**parameters)

    def log_in(self, login, password):
        if (login, password) != (self.user, self.password):
            raise Refused("access_denied")
        self.logins += 1
        self.sessions.add(f"peer-{self.logins}")
        return f"peer-{self.logins}"

    def card(self, number):
        if not re.fullmatch(r"\d{10}", number) or number.startswith("9"):
            raise Refused("not_a_smartcard")
        unused = {"sn": number, "owner": None, "disabled": False, "defect": False, "packages": {}, "refreshes": 0}
        return self.cards.setdefault(number, unused)

    def owned(self, number):
        """The card's subscriber; one that had none gets one of its own number."""
        card = self.card(number)
        if card["owner"] is None:
            card["owner"] = number
            self.subscribers[number] = {"code": number}
        return card["owner"]

    def subscriber(self, code):
        if code not in self.subscribers:
            raise Refused("subscriber_does_not_exist")
        return self.subscribers[code]

    def order(self, subscriber, product, start, end, cards):
        self.number += 1
        self.orders[self.number] = {
            "orderId": self.number, "subscriberCode": subscriber, "productId": product, "activationTime": start,
            "expiryTime": end, "smartcards": cards, "isFlexibleOrder": True, "disabled": False,
        }
        return self.number

    def on_card(self, number):
        owner = self.card(number)["owner"]
        own = (order for order in self.orders.values() if order["subscriberCode"] == owner)
        return [order for order in own if not order["smartcards"] or number in order["smartcards"]]

    def take(self, number, which):
        for order in [order for order in self.on_card(number) if which(order)]:
            del self.orders[order["orderId"]]

    def order_of(self, order_id, code):
        order = self.orders.get(order_id)
        if order is None or order["subscriberCode"] != code:
            raise Refused("not_an_order")
        return order

    def cvAddSubscriber(self, subscriber):
        if subscriber["code"] in self.subscribers:
            raise Refused("not_unique")
        self.subscribers[subscriber["code"]] = subscriber

    def cvChangeSubscriber(self, subscriber):
        self.subscriber(subscriber["code"]).update(subscriber)

    def cvGetSubscriber(self, code):
        return self.subscriber(code)

    def cvSubscriberExists(self, code):
        return code in self.subscribers

    def cvDeleteSubscriber(self, code):
        self.subscriber(code)
        if self.cvGetSmartcardsOfSubscriber(code):
            raise Refused("subscriber_has_smartcards")
        del self.subscribers[code]

    def cvGetSmartcardsOfSubscriber(self, code):
        self.subscriber(code)
        return [{"sn": card["sn"], "checksum": "7"} for card in self.cards.values() if card["owner"] == code]

    def cvAddSmartcardToSubscriber(self, smartcardId, code):
        self.subscriber(code)
        if self.card(smartcardId)["owner"] is not None:
            raise Refused("smartcard_assigned_already")
        self.card(smartcardId)["owner"] = code

    def cvRemoveSmartcardFromSubscriber(self, smartcardId):
        self.card(smartcardId)["owner"] = None

    def cvReplaceSmartcardOfSubscriber(self, subscriberCode, oldSmartcardId, newSmartcardId, allowExchange):
        if self.card(oldSmartcardId)["owner"] != subscriberCode:
            raise Refused("subscriber_does_not_own_smartcard")
        if self.card(newSmartcardId)["owner"] is not None:
            raise Refused("smartcard_assigned_already")
        for order in self.on_card(oldSmartcardId):
            order["smartcards"] = [newSmartcardId if each == oldSmartcardId else each for each in order["smartcards"]]
        self.card(oldSmartcardId)["owner"], self.card(newSmartcardId)["owner"] = None, subscriberCode

    def cvSetSmartcardPackages(self, smartcardId, packages, hcId, activationTime, expiryTime):
        self.card(smartcardId)["packages"] = {package: expiryTime for package in packages}

    def cvGetSmartcardPackages(self, smartcardId):
        return [str(package) for package in self.card(smartcardId)["packages"]]

    def cvGetPackages(self):
        return []

    def cvSetSmartcardProducts(self, sn, productIds, hcId, expiryTime):
        self.owned(sn)
        self.take(sn, lambda order: True)
        for product in productIds:
            self.cvAddProductToSmartcards([sn], product, hcId, expiryTime)

    def cvAddProductToSmartcards(self, smartcards, productId, hcId, expiryTime):
        for card in smartcards:
            self.card(card)
        for card in smartcards:
            owner = self.owned(card)
            self.take(card, lambda order: order["productId"] == productId)
            self.order(owner, productId, "2026-01-01T00:00:00.000Z", expiryTime, [card])

    def cvRemoveProductFromSmartcards(self, smartcards, productId):
        for card in smartcards:
            self.take(card, lambda order: order["productId"] == productId)

    def cvCleanSmartcards(self, smartcards):
        for card in smartcards:
            self.take(card, lambda order: True)

    def cvGetOrdersOnSmartcard(self, smartcardId):
        return [{**order, "sn": smartcardId} for order in self.on_card(smartcardId)]

    def cvEnableSmartcard(self, smartcardId):
        self.card(smartcardId)["disabled"] = False

    def cvDisableSmartcard(self, smartcardId):
        self.card(smartcardId)["disabled"] = True

    def cvMarkSmartcardAsDefect(self, smartcardId):
        self.card(smartcardId).update(disabled=True, defect=True)

    def cvMarkSmartcardAsOk(self, smartcardId):
        self.card(smartcardId)["defect"] = False

    def cvPairSmartcard(self, smartcardId, stbId):
        self.card(smartcardId)["stbId"] = stbId

    def cvUnpairSmartcard(self, smartcardId, stbId):
        self.card(smartcardId)["stbId"] = None

    def cvChangePinOfSmartcard(self, smartcardId, pin):
        self.card(smartcardId)["pin"] = pin

    def cvRefreshSmartcard(self, smartcardId):
        self.card(smartcardId)["refreshes"] += 1

    def cvSetSmartcardConfigOfSmartcard(self, smartcardId, configId, protected):
        self.card(smartcardId)["config"] = configId

    def cvGetSmartcardInfo(self, smartcardId):
        return self.card(smartcardId)

    def cvAddFlexibleOrderToSubscriber(self, productId, subscriberCode, activationTime, expiryTime,
                                       onlySpecifiedSmartcards, smartcards, optionalPackages):
        self.subscriber(subscriberCode)
        cards = list(smartcards or []) if onlySpecifiedSmartcards else []
        return self.order(subscriberCode, productId, activationTime, expiryTime, cards)

    def cvExtendOrderOfSubscriber(self, orderId, subscriberCode, until):
        self.order_of(orderId, subscriberCode)["expiryTime"] = until

    def cvTerminateOrderOfSubscriber(self, orderId, subscriberCode, until):
        del self.orders[self.order_of(orderId, subscriberCode)["orderId"]]

    def cvDisableOrderOfSubscriber(self, orderId, subscriberCode):
        self.order_of(orderId, subscriberCode)["disabled"] = True

    def cvEnableOrderOfSubscriber(self, orderId, subscriberCode, until):
        self.order_of(orderId, subscriberCode)["disabled"] = False

    def cvAddSmartcardToOrder(self, subscriberCode, orderId, smartcard):
        self.order_of(orderId, subscriberCode)["smartcards"].append(smartcard)

    def cvRemoveSmartcardFromOrder(self, subscriberCode, orderId, smartcard):
        self.order_of(orderId, subscriberCode)["smartcards"].remove(smartcard)

    def cvGetOrdersOfSubscriber(self, subscriberCode, includeExpiredOrders):
        self.subscriber(subscriberCode)
        return [order for order in self.orders.values() if order["subscriberCode"] == subscriberCode]

    def cvAddPpvOrderToSubscriber(self, ppvId, subscriberCode):
        self.subscriber(subscriberCode).setdefault("events", []).append(ppvId)

    def cvSendOsm(self, targetType, targetId, delay, text, cycleTime, cycleId):
        self.messages.append([targetType, targetId, text, cycleTime, cycleId])

    def cvSendBulkOsm(self, smartcards, delay, text, cycleTime, cycleId):
        for card in smartcards:
            self.card(card)
        self.messages.append(["bulk", smartcards, text, cycleTime, cycleId])

    def cvGetTasksOfLastCall(self):
        return []


class Handler(BaseHTTPRequestHandler):
    """One request after the other, each told on standard output."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        server = self.server
        with server.lock:
            server.requests += 1
            if server.requests == server.lose_session_after:
                server.platform.sessions.clear()
            checker, writer = Checker(server.description), Writer(server.description)
            operation, status, result = "unknown", 200, "granted"
            try:
                operation, parameters = checker.request(self.path, self.headers, body)
                answer = writer.answer(operation, server.platform.carry_out(operation, parameters))
            except Refused as refusal:
                status, result, answer = 500, str(refusal), writer.fault(str(refusal))
            except Exception as error:  # What can not be read at all is the worst of problems.
                checker.problems.append(f"{type(error).__name__}: {error}")
                status, result, answer = 500, "unreadable", Writer(server.description).fault("malformed_call")
            server.wrong += bool(checker.problems)
            print(json.dumps({"operation": operation, "problems": checker.problems, "result": result}), flush=True)
        self.send_response(status)
        self.send_header("Content-Type", "text/xml; charset=utf-8")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        """Requests are told on standard output already."""


def main():
    """Serves until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--user", default="op")
    parser.add_argument("--password", default="op-pass")
    parser.add_argument("--lose-session-after", type=int, default=0)
    options = parser.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
    server.daemon_threads = True
    server.lock, server.requests, server.wrong = threading.Lock(), 0, 0
    server.description = Description(pathlib.Path(__file__).with_name("panaccess.wsdl"))
    server.platform = Platform(options.user, options.password)
    server.lose_session_after = options.lose_session_after
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({"listening": f"http://127.0.0.1:{server.server_address[1]}"}), flush=True)
    sys.stdin.read()
    server.shutdown()
    held = server.platform
    state = {name: getattr(held, name) for name in ("subscribers", "cards", "orders", "messages", "logins")}
    print(json.dumps({"state": {**state, "requests": server.requests, "wrong": server.wrong}}), flush=True)
    return 1 if server.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
