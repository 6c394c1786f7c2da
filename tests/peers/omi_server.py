#!/usr/bin/env python3
"""An OMI platform of another make, to which the adapter speaks: it checks every request against the WSDL's types.

    pip install -r requirements.txt
    python3 omi_server.py [--port 0] [--user headgate] [--password ''] [--lose-session-after N]

Prints `{"listening": "http://127.0.0.1:PORT"}` first, then a JSON line for each request: `operation`, `problems`
(empty: the request fits the WSDL, its SOAPAction and its service), `result` (the code). Stops at the end of its
standard input and prints `{"state": ...}`: what it holds, and how many requests had problems. Exit status 1 if any had.

Its answers use other prefixes than ours, tell the results of lists in the reverse order, and fit the WSDL: each is
checked before it goes out. With `--lose-session-after N` every session is forgotten once, before the N-th request.
"""

import argparse
import json
import pathlib
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from lxml import etree

OMI = "http://www.verimatrix.com/omi"
TYPES = "http://www.verimatrix.com/schemas/OMItypes.xsd"
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
XS = "http://www.w3.org/2001/XMLSchema"
WSDL_NS = {"w": "http://schemas.xmlsoap.org/wsdl/", "xs": XS, "soap": "http://schemas.xmlsoap.org/wsdl/soap/"}
NO_SESSION, LOGIN_REFUSED, EXISTS, UNKNOWN = 901, 902, 903, 904


class Description:
    """The WSDL: which operation is where, and a schema of its wrapper elements."""

    def __init__(self, path):
        wsdl = etree.parse(str(path))
        self.service_of = {}
        for port in wsdl.iterfind(".//w:port", WSDL_NS):
            binding = port.get("binding").split(":")[1]
            for operation in wsdl.iterfind(f".//w:binding[@name='{binding}']/w:operation", WSDL_NS):
                self.service_of[operation.get("name")] = port.get("name")
        wrappers = etree.Element(f"{{{XS}}}schema", targetNamespace=OMI, nsmap={"xs": XS, "t": TYPES})
        etree.SubElement(wrappers, f"{{{XS}}}import", namespace=TYPES, schemaLocation="types.xsd")
        self.answer_parts = {}
        for message in wsdl.iterfind(".//w:message", WSDL_NS):
            element = etree.SubElement(wrappers, f"{{{XS}}}element", name=message.get("name"))
            sequence = etree.SubElement(etree.SubElement(element, f"{{{XS}}}complexType"), f"{{{XS}}}sequence")
            parts = [(part.get("name"), part.get("type")) for part in message.iterfind("w:part", WSDL_NS)]
            for name, kind in parts:
                # A refused login has no handle.
                least = "0" if message.get("name") == "signOnResponse" and name == "sessionHandle" else "1"
                etree.SubElement(sequence, f"{{{XS}}}element", name=name, type=kind, minOccurs=least)
            self.answer_parts[message.get("name")] = [name for name, _ in parts]
        with tempfile.TemporaryDirectory() as folder:
            types = wsdl.find(".//xs:schema", WSDL_NS)
            pathlib.Path(folder, "types.xsd").write_bytes(etree.tostring(types))
            wrapper = pathlib.Path(folder, "omi.xsd")
            wrapper.write_bytes(etree.tostring(wrappers))
            self.schema = etree.XMLSchema(etree.parse(str(wrapper)))

    def problems(self, element):
        """Why an element is not what the WSDL says; the parser's words, without the values."""
        if self.schema.validate(element):
            return []
        return [f"line {error.line}: {error.type_name}: {error.message}" for error in self.schema.error_log]


def child(element, *path):
    """The text at a path of names; names below the first part are qualified."""
    for depth, name in enumerate(path):
        element = element.find(name if depth == 0 else f"{{{TYPES}}}{name}")
        if element is None:
            return None
    return element.text or ""


def types(element, name):
    """The elements of that name in the namespace of types, at any depth."""
    return list(element.iter(f"{{{TYPES}}}{name}"))


def texts(element, name):
    return [found.text or "" for found in types(element, name)]


class Platform:
    """What is held, and what is done with it."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.lock = threading.Lock()
        self.sessions = set()
        self.requests = 0
        self.logins = 0
        self.bad = 0
        self.devices, self.entitlements, self.domains = {}, {}, {}
        self.pairs, self.pins, self.messages, self.disabled, self.refreshes = set(), {}, [], set(), {}

    def state(self):
        ids = {key: {"package": value[0], "entity": value[1]} for key, value in sorted(self.entitlements.items())}
        return {
            "logins": self.logins,
            "requests": self.requests,
            "with_problems": self.bad,
            "devices": sorted(self.devices),
            "disabled": sorted(self.disabled),
            "entitlements": ids,
            "domains": sorted(self.domains),
            "pairs": sorted(self.pairs),
            "pins": self.pins,
            "messages": self.messages,
            "refreshes": self.refreshes,
        }

    def carry_out(self, name, call):
        """Returns the codes of the results with their ids, and what was found."""
        self.requests += 1
        if self.requests == self.arguments.lose_session_after:
            self.sessions.clear()
        if name == "signOn":
            good = child(call, "userAttributes", "userName") == self.arguments.user
            good = good and child(call, "userAttributes", "password") == self.arguments.password
            if not good:
                return [("", LOGIN_REFUSED)], []
            self.logins += 1
            handle = f"peer-session-{self.logins}"
            self.sessions.add(handle)
            return [("", 0)], [("handle", handle)]
        handle = child(call, "sessionHandle", "handle")
        if handle not in self.sessions:
            return [("", NO_SESSION)], []
        if name == "signOff":
            self.sessions.discard(handle)
            return [("", 0)], []
        return self.work(name, call)

    def work(self, name, call):
        if name == "getNetworkList":
            return [("", 0)], [("networks", [("smsNetworkId", self.arguments.network), ("networkType", "DVB")])]
        if name.endswith("DomainDevices"):
            domain = child(call, "domain", "smsDomainId")
            known = domain in self.domains
            return [(device, 0 if known else UNKNOWN) for device in texts(call.find("deviceList"), "smsDeviceId")], []
        if name.endswith("Devices"):
            return [self.device(name, device) for device in types(call, "devices")], []
        if name.endswith("Domains"):
            return [self.entry(name, self.domains, domain, True) for domain in texts(call, "smsDomainId")], []
        if name.endswith("Entitlements") and name.startswith(("add", "modify", "remove")):
            return [self.entitlement(name, held) for held in types(call, "entitlements")], []
        if name in ("getDeviceEntitlements", "getDomainEntitlements"):
            return self.held(name, call)
        if name == "getDeviceList":
            last, count = child(call, "query", "smsDeviceId"), int(child(call, "query", "deviceCount"))
            after = [device for key, device in sorted(self.devices.items()) if key > last]
            return [("", 0)], [("devices", device) for device in after[:count]]
        if name in ("getSmartCardPairing", "getSTBPairing"):
            card = child(call, "query", "smartCardDeviceId")
            stb = child(call, "query", "stbDeviceId")
            stbs = [("stbDevices", [("smsSTBId", other)]) for one, other in sorted(self.pairs) if one == card]
            cards = [("smartCardDevices", [("smsSmartCardId", one)]) for one, other in sorted(self.pairs) if other == stb]
            return [("", 0)], stbs + cards
        return [("", self.one(name, call))], []

    def one(self, name, call):
        """Operations with one result."""
        if name.endswith("Pair"):
            pair = (child(call, "devicePair", "smartCardDevice", "smsSmartCardId"), child(call, "devicePair", "stbDevice", "smsSTBId"))
            there = pair in self.pairs
            if name == "addDevicePair":
                self.pairs.add(pair)
                return EXISTS if there else 0
            if name == "removeDevicePair":
                self.pairs.discard(pair)
            return 0 if there else UNKNOWN
        if name.endswith("Pairing"):
            ended = set(texts(call, "smsSmartCardId") + texts(call, "smsSTBId"))
            self.pairs = {pair for pair in self.pairs if not ended & set(pair)}
            return 0
        if name.startswith("generate"):
            self.messages.append({
                "to": child(call, "messageEntity", "entityType") + ":" + child(call, "messageEntity", "entityId"),
                "packages": texts(call, "smsPackageId"),
                "text": " ".join(texts(call, "text")),
            })
            return 0
        device = child(call, "device", "smsDeviceId")
        if device not in self.devices:
            return UNKNOWN
        if name == "setDevicePins":
            self.pins[device] = dict(zip(texts(call, "index"), texts(call, "value")))
        elif name == "resetDevicePins":
            self.pins[device] = "default"
        else:
            self.refreshes[device] = self.refreshes.get(device, 0) + 1
        return 0

    def device(self, name, device):
        fields = [(etree.QName(field).localname, field.text or "") for field in device]
        result = self.entry(name, self.devices, fields[0][1], fields)
        if result[1] == 0 and name == "disableDevices":
            self.disabled.add(fields[0][1])
        elif name in ("enableDevices", "removeDevices"):
            self.disabled.discard(fields[0][1])
        return result

    def entitlement(self, name, held):
        key = texts(held, "smsEntitlementId")[0]
        value = (texts(held, "smsPackageId")[0], texts(held, "entityId")[0], texts(held, "startTime"), texts(held, "endTime"))
        if value[1] not in self.devices and value[1] not in self.domains:
            return key, UNKNOWN
        return self.entry(name, self.entitlements, key, value)

    def entry(self, name, entries, key, value):
        """Adds, changes or removes an entry."""
        there = key in entries
        if name.startswith("add"):
            if there:
                return key, EXISTS
            entries[key] = value
        elif not there:
            return key, UNKNOWN
        elif name.startswith("modify"):
            entries[key] = value
        elif name.startswith("remove"):
            del entries[key]
        return key, 0

    def held(self, name, call):
        device = child(call, "query", "smsDeviceId")
        entity = device if device is not None else child(call, "query", "domainId")
        if entity not in self.devices and entity not in self.domains:
            return [("", UNKNOWN)], []
        kind = "DEVICE" if device is not None else "DOMAIN"
        found = [("device", self.devices[entity])] if device is not None else []
        for key, (package, owner, start, end) in sorted(self.entitlements.items()):
            if owner == entity:
                period = [("startTime", text) for text in start] + [("endTime", text) for text in end]
                found.append(("entitlements", [
                    ("smsEntitlementId", key),
                    ("package", [("smsPackageId", package)]),
                    ("entitledEntity", [("entityType", kind), ("entityId", entity)]),
                    ("timePeriodRule", period),
                ]))
        return [("", 0)], found


def write(parent, fields):
    """Writes names with texts or further names, in the namespace of types."""
    for name, value in fields:
        element = etree.SubElement(parent, f"{{{TYPES}}}{name}")
        if isinstance(value, list):
            write(element, value)
        else:
            element.text = value


def result(key, code):
    return [("resultId", key), ("resultCode", str(code)), ("resultText", "fine" if code == 0 else "no")]


def answer(description, name, results, found):
    """The wrapper element of an answer, with prefixes that are not ours."""
    wrapper = etree.Element(f"{{{OMI}}}{name}Response", nsmap={"ns2": OMI, "ns1": TYPES})
    parts = description.answer_parts[f"{name}Response"]
    if "resultList" in parts:
        part = etree.SubElement(wrapper, "resultList")
        write(part, [("result", result(key, code)) for key, code in reversed(results)])
    elif "queryResult" in parts:
        part = etree.SubElement(wrapper, "queryResult")
        write(part, [("result", result(*results[0])), *found])
    else:
        if found and "sessionHandle" in parts:
            write(etree.SubElement(wrapper, "sessionHandle"), found)
        write(etree.SubElement(wrapper, "result"), result(*results[0]))
    problems = description.problems(wrapper)
    assert not problems, problems
    return wrapper


def handler(description, platform):
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            with platform.lock:
                status, element, line = self.take(body)
                platform.bad += bool(line["problems"])
                print(json.dumps(line), flush=True)
            envelope = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"S": SOAP})
            etree.SubElement(envelope, f"{{{SOAP}}}Body").append(element)
            document = etree.tostring(envelope, xml_declaration=True, encoding="UTF-8")
            self.send_response(status)
            self.send_header("content-type", "text/xml;charset=UTF-8")
            self.send_header("content-length", str(len(document)))
            self.end_headers()
            self.wfile.write(document)

        def take(self, body):
            try:
                call = etree.fromstring(body, parser).find(f"{{{SOAP}}}Body")[0]
                name = etree.QName(call).localname
            except (etree.XMLSyntaxError, TypeError, IndexError) as error:
                return 500, fault(f"no SOAP: {error}"), {"operation": None, "problems": ["no SOAP"], "result": None}
            problems = description.problems(call)
            service = self.path.rstrip("/").rsplit("/", 1)[-1]
            if description.service_of.get(name) != service:
                problems.append(f"{name} is not at {service}")
            action = (self.headers.get("soapaction") or "").strip('"')
            if action != f"{OMI}/{name}":
                problems.append("SOAPAction does not name the operation")
            if problems:
                return 500, fault("; ".join(problems)), {"operation": name, "problems": problems, "result": None}
            results, found = platform.carry_out(name, call)
            element = answer(description, name, results, found)
            return 200, element, {"operation": name, "problems": [], "result": [code for _, code in results]}

        def log_message(self, *_):
            pass

    return Handler


def fault(words):
    element = etree.Element(f"{{{SOAP}}}Fault")
    etree.SubElement(element, "faultcode").text = "S:Client"
    etree.SubElement(element, "faultstring").text = words
    return element


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--port", type=int, default=0)
    arguments.add_argument("--user", default="headgate")
    arguments.add_argument("--password", default="")
    arguments.add_argument("--network", default="dvb-network")
    arguments.add_argument("--lose-session-after", type=int, default=-1, metavar="N")
    arguments = arguments.parse_args()
    platform = Platform(arguments)
    description = Description(pathlib.Path(__file__).with_name("omi.wsdl"))
    server = ThreadingHTTPServer(("127.0.0.1", arguments.port), handler(description, platform))
    print(json.dumps({"listening": f"http://127.0.0.1:{server.server_port}"}), flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    server.shutdown()
    print(json.dumps({"state": platform.state()}), flush=True)
    return 1 if platform.bad else 0


if __name__ == "__main__":
    sys.exit(main())
